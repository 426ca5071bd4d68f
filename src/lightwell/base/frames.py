"""Whole messages over a stream socket: the length first, bounded, and each within its time or not at all."""

import socket
import time
from typing import Final

_LENGTH_BYTES: Final = 4


class FrameError(ConnectionError):
    """The other side ended, was too slow or announced too much; the connection is of no more use."""


def send(sock: socket.socket, message: bytes, until: float) -> None:
    """Send one message.

    Args:
        sock: a connected stream.
        message: fewer than 2^32 bytes.
        until: the time of `time.monotonic` by which all of it must be taken.

    Raises:
        FrameError: it was not.
    """
    try:
        sock.settimeout(_left(until))
        sock.sendall(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
    except OSError as error:
        raise FrameError("a message could not be sent") from error


def receive(sock: socket.socket, most: int, until: float | None) -> bytearray | None:
    """Receive one message.

    Args:
        sock: a connected stream.
        most: bytes; a longer message is refused before it is read.
        until: as for `send`; None waits for the message to begin for as long as it takes.

    Returns:
        The message; None where the other side ended before it began one.

    Raises:
        FrameError: cut short, too long or too slow.
    """
    head = bytearray(_LENGTH_BYTES)
    got = _fill(sock, head, until)
    if got == 0:
        return None
    size = int.from_bytes(head, "big")
    if got < _LENGTH_BYTES or size > most:
        raise FrameError("a message is cut short or too long")
    message = bytearray(size)
    if _fill(sock, message, until) < size:
        raise FrameError("a message is cut short")
    return message


def _fill(sock: socket.socket, into: bytearray, until: float | None) -> int:
    view, got = memoryview(into), 0
    try:
        while got < len(view):
            sock.settimeout(None if until is None else _left(until))
            size = sock.recv_into(view[got:])
            if not size:
                return got
            got += size
    except OSError as error:
        raise FrameError("a message did not come") from error
    return got


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
