"""What may cross between cells: closed message types whose every field is labelled and bounded."""

from typing import Any, ClassVar, Final, get_type_hints

import msgspec
from msgspec import inspect

from lightwell.base.labels import Label, UnlabelledError, make_label
from lightwell.residency.labels import declare_message_field

_types: Final[dict[str, type["Message"]]] = {}


def says(category: str, residency: str) -> dict[str, Any]:
    """Return the `extra` of a `msgspec.Meta`, so that a message field carries its label.

    Args:
        category: fideslang key such as `user.content.public`.
        residency: `interop` or `public`; a protected field fails when its message is defined.
    """
    return {"label": make_label(category, residency)}


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every message; a subclass with a field that may not cross raises where it is defined.

    A field is written `Annotated[str, msgspec.Meta(max_length=64, extra=says(category, residency))]`.
    Text and lists need `max_length`, integers both bounds; text without a `pattern` is free text and must
    be `public`. A field `media` is a dict of media names to their sha256 in hex.

    Raises:
        UnlabelledError: a field has no label, is protected, or has a type that is not closed and bounded.
    """

    flow: ClassVar[str] = ""
    labels: ClassVar[dict[str, Label]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.flow:
            raise UnlabelledError(f"{cls.__name__} names no flow")
        labels: dict[str, Label] = {}
        for name, hint in get_type_hints(cls, include_extras=True).items():
            if getattr(hint, "__origin__", None) is ClassVar or name in ("flow", "labels"):
                continue
            labels[name] = _checked_label(f"{cls.__name__}.{name}", hint)
        cls.labels = labels
        for name, label in labels.items():
            declare_message_field(cls.__name__, name, label)
        _types[cls.__name__] = cls


def message_type(name: str) -> type[Message] | None:
    """Return the message class called `name`, None if there is none or it takes unknown fields."""
    found = _types.get(name)
    if found is None or not found.__struct_config__.forbid_unknown_fields:
        return None
    return found


def _checked_label(name: str, hint: Any) -> Label:
    kind = inspect.type_info(hint)
    extra = kind.extra if isinstance(kind, inspect.Metadata) else None
    label = (extra or {}).get("label")
    if not isinstance(kind, inspect.Metadata) or not isinstance(label, Label):
        raise UnlabelledError(f"{name} has no label")
    if label.residency == "protected":
        raise UnlabelledError(f"{name} is protected: it has no place in a message")
    _require_bounded(name, kind.type, label)
    return label


def _require_bounded(name: str, kind: inspect.Type, label: Label) -> None:
    if isinstance(kind, inspect.BoolType | inspect.NoneType | inspect.LiteralType):
        return
    if isinstance(kind, inspect.IntType):
        if (kind.ge is None and kind.gt is None) or (kind.le is None and kind.lt is None):
            raise UnlabelledError(f"{name} is a number without bounds")
    elif isinstance(kind, inspect.StrType):
        if kind.max_length is None:
            raise UnlabelledError(f"{name} is text without a max_length")
        if kind.pattern is None and label.residency != "public":
            raise UnlabelledError(f"{name} is free text that is not public")
    elif isinstance(kind, inspect.ListType | inspect.DictType) and kind.max_length is None:
        raise UnlabelledError(f"{name} is a collection without a max_length")
    for part in _parts(name, kind):
        _require_bounded(name, part, label)


def _parts(name: str, kind: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(kind, inspect.IntType | inspect.StrType):
        return ()
    if isinstance(kind, inspect.Metadata):
        return (kind.type,)
    if isinstance(kind, inspect.ListType):
        return (kind.item_type,)
    if isinstance(kind, inspect.DictType):
        return (kind.key_type, kind.value_type)
    if isinstance(kind, inspect.UnionType):
        return kind.types
    raise UnlabelledError(f"{name} has a type that a message may not carry")
