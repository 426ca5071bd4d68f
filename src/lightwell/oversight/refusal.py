"""What the oversight server refuses, with the status and the short stable name that say why."""

from typing import Any


class VerdictError(ValueError):
    """Verdicts that are refused, with the HTTP status and short name that say why."""

    def __init__(self, status: int, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug


class Refusal(Exception):  # noqa: N818  an answer, not a fault
    """A 4xx or 5xx answer with a short stable name and a sentence that says what is wrong."""

    def __init__(self, status: int, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail

    def document(self) -> dict[str, Any]:
        """Return the members of the problem document."""
        return {
            "type": f"urn:lightwell:problem:{self.slug}",
            "title": self.slug.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
        }
