"""Kernels: the hot loops of ranking as compiled functions on integers; `warm` makes them all ready."""

from lightwell.recommender.kernels import asked, choose, gather, measure, sift, trees
from lightwell.recommender.kernels.compiled import warm

__all__ = ["asked", "choose", "gather", "measure", "sift", "trees", "warm"]
