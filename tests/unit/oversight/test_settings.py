"""Settings are read as they were written, and what is wrong with them is said with the file's name."""

from pathlib import Path

import pytest

from lightwell.oversight import settings as told
from tests.factories.seen_cell import SeenCell, cleanroom_settings, oversight_folder


def test_settings_are_read_as_written(tmp_path: Path) -> None:
    cell = SeenCell()
    written = oversight_folder(tmp_path / "o", [cell])
    assert told.load_oversight(tmp_path / "o") == written
    room = cleanroom_settings(tmp_path / "r", cell, "http://oversight.test")
    assert told.load_cleanroom(tmp_path / "r") == room


@pytest.mark.parametrize("text", ["url = 1", "x = ", 'url = "u"', 'url = "u"\ncells = []\nmore = 1'])
def test_wrong_settings_name_their_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "oversight.toml").write_text(text)
    with pytest.raises(told.SettingsError, match=r"oversight\.toml"):
        told.load_oversight(tmp_path)


def test_missing_settings_name_their_file(tmp_path: Path) -> None:
    with pytest.raises(told.SettingsError, match=r"cleanroom\.toml: no such file"):
        told.load_cleanroom(tmp_path)
