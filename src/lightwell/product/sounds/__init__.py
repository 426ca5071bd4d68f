"""The sounds library: pieces of music, made by the cell itself, that a video can be set to."""

from lightwell.product.sounds.models import SoundRow
from lightwell.product.sounds.service import ensure_library

__all__ = ["SoundRow", "ensure_library"]
