"""Events in their seals: each opens only under a decision, for the viewer and the id it was sealed for."""

import msgspec

from lightwell.base.db import ReadSession
from lightwell.product.social.state import StoredEvent
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StoredEvent).decode


def seal_event(cell: Cell, session: ReadSession, account_id: str, event_id: str, event: StoredEvent) -> bytes:
    """Return one event as it is stored; raises `KeyDestroyedError` when the viewer was erased."""
    return cell.vault.seal(session, account_id, "viewer_events", "sealed", event_id, _encode(event))


def open_event(
    cell: Cell, permit: Permit, session: ReadSession, account_id: str, event_id: str, sealed: bytes
) -> StoredEvent:
    """Open what `seal_event` made.

    Raises:
        Refused: the permit is for something else.
        KeyDestroyedError: the viewer was erased.
        SealError: the bytes were altered, or belong to another viewer or event.
    """
    plain = cell.vault.unseal(permit, session, account_id, "viewer_events", "sealed", event_id, bytes(sealed))
    return _decode(plain)
