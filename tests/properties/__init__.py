"""Properties of the whole ledger format, over any history."""
