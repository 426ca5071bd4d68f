"""What a viewer does with videos (watch, skip, like, follow, share, hide), kept sealed and folded."""

from lightwell.product.social.folds import refold, viewer_state
from lightwell.product.social.folds import store as store_folds
from lightwell.product.social.intake import Intake
from lightwell.product.social.models import ViewerEventRow, ViewerStateRow
from lightwell.product.social.queries import events_since
from lightwell.product.social.reported import Event
from lightwell.product.social.service import import_past, record
from lightwell.product.social.state import Fold, StoredEvent, ViewerState

__all__ = [
    "Event",
    "Fold",
    "Intake",
    "StoredEvent",
    "ViewerEventRow",
    "ViewerState",
    "ViewerStateRow",
    "events_since",
    "import_past",
    "record",
    "refold",
    "store_folds",
    "viewer_state",
]
