"""Tests, named by the rule they keep."""
