"""The demo: a whole platform on one machine, filled through its public interfaces, and its check."""
