"""The answer to a feed request as JSON: cards are put in as they are, so that none is encoded twice."""

from collections.abc import Mapping

import msgspec

from lightwell.product.feed.cards import Card
from lightwell.product.social import ViewerState
from lightwell.recommender.pipeline import Ranked

_encode = msgspec.json.Encoder().encode
_JSON = {False: b"false", True: b"true"}


class Proof(msgspec.Struct):
    """What shows that the slate is the one promised to the ledger; bytes in hex."""

    entry: str
    opening: str
    inputs_digest: str
    promise: str
    vkey: str
    origin: str
    leaf: str


def answer_bytes(
    ranked: Ranked, cards: Mapping[str, Card], state: ViewerState, wanted: int, proof: Proof
) -> bytes:
    """Return `{"items", "exhausted", "proof"}` as JSON.

    An item has `place`, `score`, `source`, `video` (as `GET /api/videos/{id}` answers), `liked`, `follows`
    and `promotion` (its id, or null); why it is there, `GET /api/slates/{leaf}/why` says. `exhausted` is
    true when the tab had fewer videos to show than `wanted`.

    Args:
        ranked: the slate.
        cards: one for each of its videos.
        state: the viewer's.
        wanted: how many places were asked for.
        proof: goes with it.
    """
    promoted = ranked.promoted
    items = []
    for place, item in enumerate(ranked.slate.items, 1):
        card = cards[item.video]
        promotion = promoted.get(item.video)
        items.append(
            b'{"place":%d,"score":%d,"source":"%b","video":%b,"liked":%b,"follows":%b,"promotion":%b}'
            % (
                place,
                item.score,
                item.source.encode(),
                card.shown,
                _JSON[item.video in state.likes],
                _JSON[card.creator in state.follows],
                b"null" if promotion is None else _encode({"id": promotion}),
            )
        )
    exhausted = _JSON[len(items) < wanted]
    return b'{"items":[%b],"exhausted":%b,"proof":%b}' % (b",".join(items), exhausted, _encode(proof))
