"""What a viewer does with videos (watch, skip, like, follow, share, hide), kept sealed and folded."""

from lightwell.product.social.models import ViewerEventRow
from lightwell.product.social.service import (
    ViewerState,
    events_since,
    record,
    viewer_state,
)

__all__ = ["ViewerEventRow", "ViewerState", "events_since", "record", "viewer_state"]
