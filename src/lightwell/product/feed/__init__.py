"""The personal feed: every slate is committed to the ledger, durable before it is answered, and explained."""

from lightwell.product.feed.service import Feed, ensure_policy

__all__ = ["Feed", "ensure_policy"]
