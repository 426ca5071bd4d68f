"""What crosses organisations: canonical bytes, entries, notes, checkpoints, tiles, proofs. Pure."""
