"""Lightwell: a short-video platform that can be checked."""

__version__ = "0.1.0"
