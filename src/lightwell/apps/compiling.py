"""Compiles every kernel once and keeps it on disk, so that no process compiles for itself."""

import subprocess
import sys

from lightwell.recommender import graph, kernels
from lightwell.recommender.fit import cowatch
from lightwell.residency import folding, scan, shapes, spotting

# Importing a module makes its kernels known.
_WITH_KERNELS = (graph, cowatch, folding, scan, shapes, spotting)


def compile_kernels() -> None:
    """Make all kernels ready: some 35 s of one core where none is kept yet, a second where all are."""
    kernels.warm()


def compile_in_child() -> None:
    """The same in a process of its own, which gives back the memory that a compiler takes.

    Should it fail, each process compiles for itself: that is slower and otherwise the same.
    """
    subprocess.run([sys.executable, "-m", "lightwell.apps.compiling"], check=False)


if __name__ == "__main__":
    compile_kernels()
