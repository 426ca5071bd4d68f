"""The fold of one viewer's events: a pure function of them in their order, with one compact form in bytes."""

from typing import Final

import msgspec

from lightwell.recommender import record

# What a slate record may hold is what the fold keeps: a state is recorded as it stands.
MAX_WATCHED: Final = record.MOST_WATCHED
MAX_SEEN: Final = record.MOST_SEEN
MAX_LIKES: Final = record.MOST_LIKES
MAX_HIDDEN: Final = min(200, record.MOST_HIDDEN)
MAX_FOLLOWS: Final = min(2000, record.MOST_FOLLOWS)
MAX_BLOCKED: Final = min(1000, record.MOST_SHUNNED)
MAX_MUTED: Final = min(1000, record.MOST_SHUNNED)
# So many likes of one viewer are counted at a time: one that is not remembered could be counted again.
MAX_COUNTED_LIKES: Final = 2000
# Nobody does more than this in an hour; what comes on top of it counts nowhere.
MAX_ACTS: Final = 4000
HOUR_MS: Final = 3_600_000
FULL: Final = 255
RECENT_HOURS: Final = 24

# Kinds of one class are one act: a watch after a skip within the hour is no second opinion.
_CLASS: Final = {"watch": "00", "skip": "00", "like": "01", "share": "02", "hide": "03"}
_OF_CREATORS: Final = {
    "follow": ("follows", True, MAX_FOLLOWS),
    "unfollow": ("follows", False, MAX_FOLLOWS),
    "block": ("blocked", True, MAX_BLOCKED),
    "unblock": ("blocked", False, MAX_BLOCKED),
    "mute": ("muted", True, MAX_MUTED),
    "unmute": ("muted", False, MAX_MUTED),
}


class StoredEvent(msgspec.Struct, array_like=True):
    """What stands inside the seal; `creator` is `cell:handle`, `strength` 0..255, `at` milliseconds.

    `repeat`: the viewer has done this to this video within the hour already (or too much altogether). It
    moves no count and trains nothing, so that one viewer alone moves little.
    """

    kind: str
    video_id: str
    creator: str
    strength: int
    watch_ms: int
    at: int
    repeat: bool = False


class ViewerState(msgspec.Struct):
    """All that the feed knows of a viewer. Newest last everywhere; `strength` of what was watched 0..255.

    `without_profiling`: the viewer asked for a feed that uses none of the rest.
    """

    watched: dict[str, int] = {}
    seen: dict[str, None] = {}
    likes: dict[str, None] = {}
    follows: dict[str, None] = {}
    hidden: dict[str, None] = {}
    events: int = 0
    blocked: dict[str, None] = {}
    muted: dict[str, None] = {}
    without_profiling: bool = False


class Fold(msgspec.Struct):
    """A viewer's state and what it takes to fold the next event rightly.

    counted_likes: videos whose public count holds this viewer's like; more than `state.likes` has room for.
    hour, acts: what was done in the newest hour, as video and class of act. at: time of the newest event,
    milliseconds; it never goes back. allowance: thousandths of events that may still come at once.
    recent: ids of events of the last day, with their hour, where the log cannot be asked for an id.
    """

    state: ViewerState = msgspec.field(default_factory=ViewerState)
    counted_likes: dict[str, None] = {}
    hour: int = 0
    acts: dict[str, None] = {}
    at: int = 0
    allowance: int = -1
    recent: dict[str, int] = {}

    def recall(self, event_id: str, at: int) -> None:
        """Keep an event's id for a day."""
        hour = at // HOUR_MS
        while self.recent and self.recent[oldest := next(iter(self.recent))] < hour - RECENT_HOURS:
            del self.recent[oldest]
        self.recent[event_id] = hour

    def repeats(self, kind: str, video_id: str, at: int) -> bool:
        """Say whether an event of this kind, about this video, at this time would be a repeat."""
        if kind not in _CLASS or at // HOUR_MS != self.hour:
            return False
        return video_id + _CLASS[kind] in self.acts or len(self.acts) >= MAX_ACTS

    def counts(self, event: StoredEvent) -> tuple[int, int, int]:
        """Return how views, likes and shares of the event's video move when it is folded next."""
        video = event.video_id
        if event.kind in ("like", "unlike"):
            counted = video in self.counted_likes
            if event.kind == "unlike":
                return 0, -int(counted), 0
            return 0, int(not counted and len(self.counted_likes) < MAX_COUNTED_LIKES), 0
        if event.repeat:
            return 0, 0, 0
        viewed = event.kind in ("watch", "skip") and video not in self.state.seen
        return int(viewed), 0, int(event.kind == "share")

    def take(self, event: StoredEvent) -> None:
        """Fold one event in."""
        state, kind = self.state, event.kind
        state.events += 1
        self.at = max(self.at, event.at)
        if kind in _OF_CREATORS:
            self._take_creator(kind, event.creator)
        elif kind == "profiling":
            state.without_profiling = event.strength == 0
        elif kind == "unlike":
            state.likes.pop(event.video_id, None)
            self.counted_likes.pop(event.video_id, None)
        elif kind == "unhide":
            state.hidden.pop(event.video_id, None)
        else:
            self._take_video(kind, event.video_id, event.strength)
            self._remember(kind, event.video_id, event.at)

    def _take_creator(self, kind: str, creator: str) -> None:
        name, present, most = _OF_CREATORS[kind]
        _put_last(getattr(self.state, name), creator, most, present=present)
        if kind == "block":
            self.state.follows.pop(creator, None)

    def _take_video(self, kind: str, video: str, strength: int) -> None:
        state = self.state
        if kind == "like":
            _put_last(state.likes, video, MAX_LIKES)
            if len(self.counted_likes) < MAX_COUNTED_LIKES:
                self.counted_likes[video] = None
        if kind == "hide":
            _put_last(state.hidden, video, MAX_HIDDEN)
        before = state.watched.pop(video, 0)
        state.watched[video] = 0 if kind == "hide" else max(strength, before)
        if len(state.watched) > MAX_WATCHED:
            del state.watched[next(iter(state.watched))]
        _put_last(state.seen, video, MAX_SEEN)

    def _remember(self, kind: str, video: str, at: int) -> None:
        hour = at // HOUR_MS
        if hour != self.hour:
            self.hour = hour
            self.acts = {}
        if kind in _CLASS and len(self.acts) < MAX_ACTS:
            self.acts[video + _CLASS[kind]] = None


class _Packed(msgspec.Struct, array_like=True):
    """A fold in bytes: ids as 8 bytes each, one after the other."""

    watched: bytes
    strengths: bytes
    seen: bytes
    likes: bytes
    hidden: bytes
    follows: list[str]
    blocked: list[str]
    muted: list[str]
    events: int
    without_profiling: bool
    counted_likes: bytes
    hour: int
    acts: bytes
    at: int
    allowance: int
    recent: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def pack(fold: Fold) -> bytes:
    """Return a fold in bytes; every video id of it has 16 hex characters."""
    state = fold.state
    return _encode(
        _Packed(
            watched=_ids(state.watched),
            strengths=bytes(state.watched.values()),
            seen=_ids(state.seen),
            likes=_ids(state.likes),
            hidden=_ids(state.hidden),
            follows=list(state.follows),
            blocked=list(state.blocked),
            muted=list(state.muted),
            events=state.events,
            without_profiling=state.without_profiling,
            counted_likes=_ids(fold.counted_likes),
            hour=fold.hour,
            acts=_ids(fold.acts),
            at=fold.at,
            allowance=fold.allowance,
            recent=bytes.fromhex("".join(f"{one}{hour:08x}" for one, hour in fold.recent.items())),
        )
    )


def unpack(data: bytes) -> Fold:
    """Return the fold that `pack` wrote."""
    packed = _decode(data)
    return Fold(
        state=_state(packed),
        counted_likes=dict.fromkeys(_words(packed.counted_likes)),
        hour=packed.hour,
        acts=dict.fromkeys(_words(packed.acts, 9)),
        at=packed.at,
        allowance=packed.allowance,
        recent={word[:32]: int(word[32:], 16) for word in _words(packed.recent, 20)},
    )


def unpack_state(data: bytes) -> ViewerState:
    """Return only the state of the fold that `pack` wrote."""
    return _state(_decode(data))


def _state(packed: _Packed) -> ViewerState:
    return ViewerState(
        watched=dict(zip(_words(packed.watched), packed.strengths, strict=True)),
        seen=dict.fromkeys(_words(packed.seen)),
        likes=dict.fromkeys(_words(packed.likes)),
        follows=dict.fromkeys(packed.follows),
        hidden=dict.fromkeys(_words(packed.hidden)),
        events=packed.events,
        blocked=dict.fromkeys(packed.blocked),
        muted=dict.fromkeys(packed.muted),
        without_profiling=packed.without_profiling,
    )


def _ids(words: dict[str, int] | dict[str, None]) -> bytes:
    return bytes.fromhex("".join(words))


def _words(data: bytes, each: int = 8) -> list[str]:
    return data.hex(" ", each).split()


def _put_last(members: dict[str, None], key: str, most: int, *, present: bool = True) -> None:
    """Move a member to the end or take it out; the oldest goes when there are too many."""
    members.pop(key, None)
    if present:
        members[key] = None
        if len(members) > most:
            del members[next(iter(members))]
