"""Fuzzing of every parser of bytes from outside; the bench runs millions of inputs, the tests a few."""
