"""Real things for tests: cells, keys, clips."""
