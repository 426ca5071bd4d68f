from typing import Annotated, Any, ClassVar

import pytest
from msgspec import Meta

from lightwell.base.labels import UnlabelledError
from lightwell.residency.labels import data_map
from lightwell.residency.messages import Message, message_type, says
from tests.unit.residency.two_cells import Postcard

PUBLIC = says("user.content.public", "public")


@pytest.mark.parametrize(
    "hint",
    [
        str,
        Annotated[str, Meta(max_length=10)],
        Annotated[str, Meta(extra=PUBLIC)],
        Annotated[str, Meta(max_length=10, extra=says("user.unique_id", "interop"))],
        Annotated[str, Meta(max_length=10, extra=says("user.contact.email", "protected"))],
        Annotated[bytes, Meta(max_length=10, extra=PUBLIC)],
        Annotated[int, Meta(ge=0, extra=PUBLIC)],
        Annotated[float, Meta(extra=PUBLIC)],
        Annotated[Any, Meta(extra=PUBLIC)],
        Annotated[list[str], Meta(max_length=3, extra=PUBLIC)],
        Annotated[dict[str, str], Meta(max_length=3, extra=PUBLIC)],
        Annotated[list[Annotated[str, Meta(max_length=3)]], Meta(extra=PUBLIC)],
    ],
    ids=[
        "no annotation",
        "no label",
        "unbounded text",
        "free text that is not public",
        "protected",
        "bytes",
        "half-bounded integer",
        "float",
        "anything",
        "list of unbounded text",
        "dict of unbounded text",
        "unbounded list",
    ],
)
def test_message_with_an_open_unlabelled_or_protected_field_fails_at_definition(hint: Any) -> None:
    with pytest.raises(UnlabelledError):
        type(Message)("Bad", (Message,), {"__annotations__": {"flow": ClassVar[str], "x": hint}, "flow": "f"})
    assert message_type("Bad") is None


def test_message_without_a_flow_fails_at_definition() -> None:
    with pytest.raises(UnlabelledError):
        type(Message)("Bad", (Message,), {"__annotations__": {}})


def test_senders_type_takes_no_further_field() -> None:
    with pytest.raises(TypeError):
        Postcard(video_id="0" * 16, caption="x", media={}, email="ana@example.org")  # type: ignore[call-arg]


def test_message_that_allows_unknown_fields_is_not_known() -> None:
    class Loose(Message, forbid_unknown_fields=False):
        flow: ClassVar[str] = "public-video"

    assert message_type("Loose") is None


def test_message_fields_are_in_the_data_map() -> None:
    fields = {held.field for held in data_map() if held.kind == "message" and held.place == "Postcard"}
    assert fields == {"video_id", "caption", "media"}
