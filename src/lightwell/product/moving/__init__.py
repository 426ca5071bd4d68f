"""Moving in: accounts go from one cell to their home, are compared there, and are erased where they were."""

from lightwell.product.moving.migration import Migration, MoveError, Progress
from lightwell.product.moving.models import MovedRow, MoveRow

__all__ = ["Migration", "MoveError", "MoveRow", "MovedRow", "Progress"]
