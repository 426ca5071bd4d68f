"""All inputs of one ranking and its slate, with exactly one byte string for each."""

import hashlib
from typing import Annotated, Literal

import msgspec

Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}\\Z")]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}\\Z")]
Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9._:-]{0,64}\\Z")]
Strength = Annotated[int, msgspec.Meta(ge=0, le=255)]
Tab = Literal["for_you", "following", "newest", "without_profiling"]

MOST_PLACES = 50
MOST_WATCHED = 200
MOST_SEEN = 2_000
MOST_LIKES = 100
MOST_HIDDEN = 1_000
MOST_FOLLOWS = 10_000
MOST_SHUNNED = 1_000
MOST_WITHDRAWN = 10_000

MOST_EXTERNAL = 1_000
HIGHEST_EXTERNAL = 1_000
ExternalScore = Annotated[int, msgspec.Meta(ge=-HIGHEST_EXTERNAL, le=HIGHEST_EXTERNAL)]
Failure = Literal[
    "", "timeout", "crashed", "too-long", "malformed", "missing", "unconfined", "starting", "resting"
]
"""Why a ranker gave no scores, or empty."""


class RecordError(ValueError):
    """A slate record that cannot be ranked: malformed, not canonical, or naming other inputs than given."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was asked: a tab, how many videos, and the hour (whole hours since 1970).

    A feed `without_profiling` uses no personal data: its record holds none of the viewer but the region.
    """

    tab: Tab = "for_you"
    k: Annotated[int, msgspec.Meta(ge=1, le=MOST_PLACES)] = 10
    hour: Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]


class Viewer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The viewer's state, folded from the viewer's events; lists are newest last where they have an order.

    watched: [video, strength] with strength 0 (skipped at once) to 255 (watched to the end).
    seen: videos shown, newest last. follows, blocked, muted: creators as "cell:handle". own: the viewer's own
    creator key. The order of follows, likes, hidden, blocked and muted has no meaning and changes nothing.
    adult: known to be of age; never so without profiling.
    """

    region: Name
    adult: bool = False
    watched: Annotated[list[tuple[Id, Strength]], msgspec.Meta(max_length=MOST_WATCHED)] = []
    seen: Annotated[list[Id], msgspec.Meta(max_length=MOST_SEEN)] = []
    follows: Annotated[list[Name], msgspec.Meta(max_length=MOST_FOLLOWS)] = []
    likes: Annotated[list[Id], msgspec.Meta(max_length=MOST_LIKES)] = []
    hidden: Annotated[list[Id], msgspec.Meta(max_length=MOST_HIDDEN)] = []
    own: Name | None = None
    blocked: Annotated[list[Name], msgspec.Meta(max_length=MOST_SHUNNED)] = []
    muted: Annotated[list[Name], msgspec.Meta(max_length=MOST_SHUNNED)] = []


class External(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What another organisation's ranker answered; with `failed`, why it did not, and then no scores.

    digest: of the ranker's program. scores: [video, score], each video once, ascending by id.
    """

    digest: Digest
    scores: Annotated[list[tuple[Id, ExternalScore]], msgspec.Meta(max_length=MOST_EXTERNAL)] = []
    failed: Failure = ""


class SlateInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a slate is a function of, besides the snapshot and policy it names by digest.

    withdrawn: videos taken down since the snapshot was built; recorded so that replay drops them too.
    external: the answer of the ranker that the policy names, if it names one; see `recommender.external`.
    nonce: 32 hex characters that the viewer chose for this request; empty if the viewer gave none. With one
        the seed is `seed_of` it, so that the cell has no choice of it.
    """

    v: Literal[1] = 1
    cell: Name
    snapshot: Digest
    policy: Digest
    nonce: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{32})?\\Z")] = ""
    seed: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}\\Z")]
    request: Request
    viewer: Viewer
    withdrawn: Annotated[list[Id], msgspec.Meta(max_length=MOST_WITHDRAWN)] = []
    external: External | msgspec.UnsetType = msgspec.UNSET


class SlateItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place of a slate: the video, its whole score in points, and the source that found it."""

    video: Id
    score: int
    source: Name


class Slate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ordered videos answered to one request."""

    items: list[SlateItem]


# Keys are ASCII, so sorting them is the order RFC 8785 asks; the values are integers and plain strings.
_encoder = msgspec.json.Encoder(order="sorted")
_inputs_decoder = msgspec.json.Decoder(SlateInputs)
_slate_decoder = msgspec.json.Decoder(Slate)


def seed_of(nonce: str) -> str:
    """Return the seed of a request to which the viewer gave a nonce: half of a SHA-256 over it, in hex.

    Args:
        nonce: 32 hex characters.
    """
    return hashlib.sha256(b"lightwell/seed/v1\n" + bytes.fromhex(nonce)).hexdigest()[:32]


def check_bounds(inputs: SlateInputs) -> None:
    """Refuse inputs that could be ranked now but not read back, so that every slate served can be replayed.

    Raises:
        RecordError: a list is longer than the record allows, or a feed without profiling has any; the seed is
            not the one that follows from the viewer's nonce.
    """
    viewer = inputs.viewer
    if inputs.nonce and inputs.seed != seed_of(inputs.nonce):
        raise RecordError("slate inputs: the seed does not follow from the viewer's nonce")
    for name, size, most in (
        ("watched", len(viewer.watched), MOST_WATCHED),
        ("seen", len(viewer.seen), MOST_SEEN),
        ("likes", len(viewer.likes), MOST_LIKES),
        ("hidden", len(viewer.hidden), MOST_HIDDEN),
        ("follows", len(viewer.follows), MOST_FOLLOWS),
        ("blocked", len(viewer.blocked), MOST_SHUNNED),
        ("muted", len(viewer.muted), MOST_SHUNNED),
        ("withdrawn", len(inputs.withdrawn), MOST_WITHDRAWN),
    ):
        if size > most:
            raise RecordError(f"slate inputs: {size} {name}, at most {most} are recorded")
    if inputs.request.tab == "without_profiling" and viewer != Viewer(region=viewer.region):
        raise RecordError("slate inputs: a feed without profiling is ranked without any data of its viewer")


def inputs_bytes(inputs: SlateInputs) -> bytes:
    """Canonical JSON (RFC 8785) of the inputs: what the slate's commitment covers."""
    return _encoder.encode(inputs)


def slate_bytes(slate: Slate) -> bytes:
    """Canonical JSON (RFC 8785) of `{"items":[{"score","source","video"}...]}`, also committed to."""
    return _encoder.encode(slate)


def read_inputs(data: bytes) -> SlateInputs:
    """Read inputs written by `inputs_bytes`.

    Raises:
        RecordError: not JSON, an unknown or missing field, a value out of range, or not canonical bytes.
    """
    try:
        inputs = _inputs_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"slate inputs: {error}") from error
    if _encoder.encode(inputs) != data:
        raise RecordError("slate inputs: not in canonical form")
    return inputs


def read_slate(data: bytes) -> Slate:
    """Read a slate written by `slate_bytes`.

    Raises:
        RecordError: as `read_inputs`.
    """
    try:
        slate = _slate_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"slate: {error}") from error
    if _encoder.encode(slate) != data:
        raise RecordError("slate: not in canonical form")
    return slate
