"""Functions on integers compiled for the machine: the same results on any, compiled once and kept."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numba
import numpy as np
from numba import types
from numba.core.compiler_lock import global_compiler_lock

Function = TypeVar("Function", bound=Callable[..., Any])

_KERNELS: Final[list[tuple[Any, Any]]] = []
_warm: list[bool] = []


def _array(kind: Any, dimensions: int = 1, *, writable: bool = False) -> Any:
    return types.Array(kind, dimensions, "C", readonly=not writable)


# Types of arguments: arrays that are only read, those written to, and plain numbers.
U8S = _array(types.uint64)
I8S = _array(types.int64)
I4S = _array(types.int32)
U4S = _array(types.uint32)
I2S = _array(types.int16)
I1S = _array(types.int8)
U2S = _array(types.uint16)
U1S = _array(types.uint8)
TO_U8S = _array(types.uint64, writable=True)
TO_U1S = _array(types.uint8, writable=True)
TO_I8S = _array(types.int64, writable=True)
TO_I4S = _array(types.int32, writable=True)
TO_I2S = _array(types.int16, writable=True)
I8_TABLE = _array(types.int64, 2)
I2_TABLE = _array(types.int16, 2)
TO_I8_TABLE = _array(types.int64, 2, writable=True)
TO_I2_TABLE = _array(types.int16, 2, writable=True)
B1S = _array(types.boolean)
I8 = types.int64
U8 = types.uint64

FACTS: Final = np.dtype(
    [
        ("id", "<u8"), ("creator", "<i4"), ("sound", "<i4"), ("topic", "<i4"), ("audience", "<i4"),
        ("hour", "<i4"), ("duration", "<i4"), ("trend", "<u2"), ("rise", "<i2"), ("finish", "<i2"),
        ("views", "<i2"), ("longs", "<i2"), ("long_share", "<i2"), ("longs_1h", "<i2"), ("longs_6h", "<i2"),
        ("longs_24h", "<i2"), ("longs_week", "<i2"), ("views_24h", "<i2"), ("log_trend", "<i2"),
        ("share_24h", "<i2"), ("length", "<i2"), ("spare", "<i4"),
    ]
)  # fmt: skip
"""What ranking asks of a video, side by side in one line of the processor's cache; see `asked.facts`."""

FACT_ROWS = _array(numba.from_dtype(FACTS))
TO_FACT_ROWS = _array(numba.from_dtype(FACTS), writable=True)


def kernel(*arguments: Any) -> Callable[[Function], Function]:
    """Compile a function for exactly these argument types, at its first use, and keep it on disk.

    Inside are integers only: no floats, no reordering of sums that could round, no threads; the lock is
    released. Division by zero gives 0. Indices are not checked: what points into arrays was checked when
    the snapshot was read. A function that calls another must stand in the same file as it, because what is
    kept on disk is renewed when its own file changes.
    """

    def keep(function: Function) -> Function:
        made: Any
        try:
            made = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        except RuntimeError:
            # There is no folder to keep it in; each process then compiles for itself.
            made = numba.njit(nogil=True, error_model="numpy")(function)
        _KERNELS.append((made, arguments))
        return made  # type: ignore[no-any-return]  # it is called as the function is

    return keep


def inner(function: Function) -> Function:
    """Compile a function that only kernels of the same file call."""
    made: Any = numba.njit(nogil=True, error_model="numpy")(function)
    return made  # type: ignore[no-any-return]  # it is called as the function is


def warm() -> None:
    """Make every kernel ready, compiling those not kept on disk (some 4 s in all); later calls cost nothing.

    The first `rank` of a process does it too. A cell's parent process calls it before it starts others, so
    that they read what is kept instead of all compiling at once.
    """
    if _warm:
        return
    # Requests and the reader of snapshots may come here at once: the second waits for the first.
    with global_compiler_lock:
        if _warm:
            return
        for made, arguments in _KERNELS:
            if not made.signatures:
                made.compile(arguments)
            made.disable_compile()
        _warm.append(True)
