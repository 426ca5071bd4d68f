"""The house stays in order: the map is true, every column is labelled, no file is too long."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Mapped, mapped_column
from tools import checks

from lightwell.agreement.load import parse
from lightwell.base.db import Database, Model, ReadSession
from lightwell.base.labels import UnlabelledError, label
from lightwell.residency.labels import data_map, disagreements

ROOT = Path(__file__).parents[2]


def test_the_map_has_a_true_line_for_each_module() -> None:
    assert checks.stale_map() == []


def test_no_file_has_more_than_five_hundred_lines() -> None:
    assert checks.long_files() == []


def test_no_lock_file_names_an_address() -> None:
    assert checks.addresses_in_locks() == []


def test_every_stored_field_has_a_class_that_the_agreement_admits() -> None:
    import lightwell.apps.web  # noqa: F401  it imports every model

    agreement = parse((ROOT / "agreements" / "us-2022-draft.toml").read_text("utf-8"))
    assert disagreements(agreement) == []
    assert len(data_map()) > 50


def test_a_column_without_a_label_fails_where_it_is_defined() -> None:
    with pytest.raises(UnlabelledError, match=r"nameless\.word has no label"):

        class Nameless(Model):
            __tablename__ = "nameless"
            key: Mapped[str] = mapped_column(primary_key=True, info=label("system", "public"))
            word: Mapped[str] = mapped_column()

    assert "nameless" not in Model.metadata.tables


def test_a_protected_column_that_is_not_sealed_fails_where_it_is_defined() -> None:
    with pytest.raises(UnlabelledError, match="neither sealed nor blind"):

        class Open(Model):
            __tablename__ = "open_secret"
            key: Mapped[str] = mapped_column(primary_key=True, info=label("system", "public"))
            mail: Mapped[str] = mapped_column(info=label("user.contact.email", "protected"))

    assert "open_secret" not in Model.metadata.tables


@pytest.mark.parametrize("category", ["contact.email", "", "users"])
def test_a_label_needs_a_fideslang_category(category: str) -> None:
    with pytest.raises(UnlabelledError):
        label(category, "public")


def test_a_read_session_cannot_write(tmp_path: Path) -> None:
    from lightwell.product.feed.models import RankingPolicyRow

    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    database.create_all()
    with database.read() as session:
        assert isinstance(session, ReadSession)
        session.add(RankingPolicyRow(digest="0" * 64, body=b"", leaf=b""))
        with pytest.raises(TypeError, match="ReadSession cannot write"):
            session.flush()
    database.dispose()
