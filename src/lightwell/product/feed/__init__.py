"""The personal feed: every slate is committed to the ledger, durable before it is answered, and explained."""

from lightwell.product.feed.policies import ensure_policy
from lightwell.product.feed.service import Feed

# The tables of models are made with all others, though only the worker uses them.
from lightwell.product.feed.training_models import ModelRow

__all__ = ["Feed", "ModelRow", "ensure_policy"]
