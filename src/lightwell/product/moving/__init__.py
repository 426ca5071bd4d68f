"""Moving in: accounts go from one cell to their home, are compared there, and are erased where they were."""

from lightwell.product.moving.migration import Migration
from lightwell.product.moving.models import MovedRow, MoveError, MoveRow, Progress

__all__ = ["Migration", "MoveError", "MoveRow", "MovedRow", "Progress"]
