"""Bad input becomes a problem document (RFC 9457) that says what is wrong."""

from typing import Any


class Problem(Exception):  # noqa: N818  the word of RFC 9457
    """An answer of 4xx or 5xx with a machine-readable type and a sentence for the person.

    Args:
        status: HTTP status code.
        slug: short stable name, the last part of the document's `type`.
        detail: what happened and what to do, in one sentence; never holds protected values.
        extra: further members of the document.
    """

    def __init__(self, status: int, slug: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.extra = extra
        self.headers: dict[str, str] = {}

    def document(self) -> dict[str, Any]:
        """Return the members of the problem document."""
        title = self.slug.replace("-", " ").capitalize()
        return {
            "type": f"urn:lightwell:problem:{self.slug}",
            "title": title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


def not_found(what: str) -> Problem:
    """Return the 404 problem for a thing that does not exist or that the asker may not know of."""
    return Problem(404, "not-found", f"There is no such {what}.")
