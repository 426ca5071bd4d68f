"""Attributes worked out when first asked for and then kept; one thread at a time has their owner."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

Value = TypeVar("Value")


class lazily(Generic[Value]):  # noqa: N801  it is used as `property` is
    """As `functools.cached_property`, which takes a lock on every first use: a slate would take thirty.

    Args:
        make: the method that works it out; the instance must have a `__dict__`.
    """

    def __init__(self, make: Callable[[Any], Value]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "lazily[Value]": ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Value: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> "Value | lazily[Value]":
        """Work it out, and put it in this descriptor's place for this instance."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._make(instance)
        return value
