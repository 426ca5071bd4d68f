"""Decimal numbers as C2SP texts write them: one text for each number, no sign, no leading zero."""

LIMIT = 2**63
"""Numbers are below this: C2SP readers hold them in signed 64-bit integers."""


def decode(text: str) -> int:
    """Return the number of ASCII decimal `text`.

    Raises:
        ValueError: a sign, a leading zero, another digit than 0 to 9, nothing at all, or 2^63 and more.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 19 or (text[0] == "0" and text != "0"):
        raise ValueError("not a decimal number")
    number = int(text)
    if number >= LIMIT:
        raise ValueError("number is out of range")
    return number
