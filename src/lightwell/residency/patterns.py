"""Contact details, addresses of machines, places and payment numbers of anybody, known by their form."""

import re
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from phonenumbers import Leniency, PhoneNumberMatcher

_EMAIL: Final = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}(?:@| ?(?:\(at\)|\[at\]) ?)[a-z0-9-]{1,63}"
    r"(?:(?:\.| ?(?:\(dot\)|\[dot\]) ?)[a-z0-9-]{2,63})+"
)
# International form, or the North American one with its separators; bare digits are too often counts.
_PHONE: Final = re.compile(
    r"(?<![\w+])(?:\+\d(?:[ .()/-]{0,2}\d){7,14}|(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[.-]\d{4})(?![\w-])"
)
# A national number without its country looks like any other, unless somebody says what it is.
_CUE: Final = re.compile(r"\b(?:call|phone|tel|mobile|whatsapp|sms|text me|ring|dial|fax|cell)\b")
_IPV4: Final = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
_IPV6: Final = re.compile(r"(?<![\w:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7}(?![\w:])")
_CARD: Final = re.compile(r"(?<![\w-])(?:\d{4}[ -]){3}\d{1,7}(?![\w-])|(?<![\w-])\d{15,16}(?![\w-])")
_IBAN: Final = re.compile(r"\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){3,7}(?: ?[a-z0-9]{1,3})?\b")
_SOCIAL: Final = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_PLACE: Final = re.compile(
    r"(?<![\w.])[-+]?(?:[0-8]?\d|90)\.\d{4,}[ ,;/]{1,3}[-+]?(?:1[0-7]\d|\d{1,2}|180)\.\d{4,}(?!\w)"
)
_MIN_IPV4_DIGITS: Final = 6


def found(text: str, country: str = "") -> str:
    """Name what a text holds of personal details by their form; empty when nothing does.

    Args:
        text: as `folding.plain` returns it.
        country: two capitals for the numbering plan in which a number without a country is read.

    Returns:
        `e-mail`, `phone-number`, `ip-address`, `location`, `payment-number` or `social-number`.
    """
    if ("@" in text or "(at)" in text or "[at]" in text) and _EMAIL.search(text):
        return "e-mail"
    for what in _with_digits(text, country):
        return what
    return ""


def calls(text: str) -> bool:
    """Say whether a text, as `folding.plain` returns it, says that a number in it is somebody's."""
    return _CUE.search(text) is not None


def _with_digits(text: str, country: str) -> Iterator[str]:
    if _PHONE.search(text):
        yield "phone-number"
    if text.count(".") > 2 and any(_is_ipv4(match[0]) for match in _IPV4.finditer(text)):
        yield "ip-address"
    if text.count(":") > 2 and any(_is_ipv6(match[0]) for match in _IPV6.finditer(text)):
        yield "ip-address"
    if _PLACE.search(text):
        yield "location"
    if _SOCIAL.search(text):
        yield "social-number"
    if any(_is_card(match[0]) for match in _CARD.finditer(text)):
        yield "payment-number"
    if any(_is_iban(match[0]) for match in _IBAN.finditer(text)):
        yield "payment-number"
    if country and _CUE.search(text):
        matcher = PhoneNumberMatcher(text, country, Leniency.VALID)
        if any(True for _ in matcher):
            yield "phone-number"


def _is_ipv4(text: str) -> bool:
    # Versions and scores have four small numbers too.
    if sum(char.isdigit() for char in text) < _MIN_IPV4_DIGITS:
        return False
    with suppress(AddressValueError):
        return bool(IPv4Address(text))
    return False


def _is_ipv6(text: str) -> bool:
    if sum(len(group) > 2 for group in text.split(":")) < 2:
        return False
    with suppress(AddressValueError):
        return bool(IPv6Address(text))
    return False


def _is_card(text: str) -> bool:
    """Say whether a number passes the check of ISO/IEC 7812 (Luhn) and begins as a payment card's."""
    digits = [int(char) for char in text if char.isdigit()]
    if not 13 <= len(digits) <= 19 or digits[0] not in (3, 4, 5, 6):
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """Say whether an account number passes the check of ISO 13616 (97)."""
    joined = text.replace(" ", "")
    turned = joined[4:] + joined[:4]
    return 15 <= len(joined) <= 34 and int("".join(str(int(char, 36)) for char in turned)) % 97 == 1
