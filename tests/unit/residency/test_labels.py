from msgspec.structs import replace

from lightwell.agreement.load import parse
from lightwell.residency import labels
from tests.unit.residency.two_cells import AGREEMENT


def test_no_field_of_residency_is_labelled_looser_than_the_agreement_says() -> None:
    assert labels.disagreements(parse(AGREEMENT.read_text("utf-8"))) == []


def test_label_looser_than_the_agreement_is_named() -> None:
    agreement = parse(AGREEMENT.read_text("utf-8"))
    stricter = replace(agreement, classes=[replace(c, residency="protected") for c in agreement.classes])
    assert any(
        line.startswith("transfers_out.envelope (user.content.public) is labelled public")
        for line in labels.disagreements(stricter)
    )


def test_category_without_a_class_is_named() -> None:
    agreement = parse(AGREEMENT.read_text("utf-8"))
    assert "account_keys.account_id (user.unique_id) has no class in the agreement" in labels.disagreements(
        replace(agreement, classes=[])
    )
