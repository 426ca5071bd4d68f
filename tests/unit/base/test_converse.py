"""A confined child answers message after message, sees nothing of ours, and is ended at its first fault."""

import sys
import time
from pathlib import Path

import pytest

from lightwell.base import confine
from lightwell.base.confine import Limits
from lightwell.base.converse import Conversation, ConversationError

MIB = 1024 * 1024
LIMITS = Limits(0, 20, 512 * MIB, 0)
TALK = """
import sys, os, time
def read():
    n = int.from_bytes(sys.stdin.buffer.read(4), "big")
    return sys.stdin.buffer.read(n)
def say(data, length=None):
    sys.stdout.buffer.write((len(data) if length is None else length).to_bytes(4, "big") + data)
    sys.stdout.buffer.flush()
"""
ECHO = "while True: say(read())\n"


@pytest.fixture(autouse=True)
def _confined() -> None:
    if confine.bubblewrap() is None:
        pytest.skip("bubblewrap does not work here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    inside.mkdir()
    return inside


def talk(folder: Path, code: str, **environment: str) -> Conversation:
    (folder / "program").write_text(TALK + code)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return Conversation(
        Path(sys.executable).resolve(),
        ["-s", "-S", "-B", "-P", "program"],
        folder,
        LIMITS,
        libraries=[Path(sys.base_prefix) / sys.platlibdir / version],
        environment={"PYTHONHOME": sys.base_prefix} | environment,
    )


def test_it_answers_one_message_after_another_long_ones_too(folder: Path) -> None:
    with talk(folder, ECHO) as child:
        for message in (b"", b"one", bytes(3 * MIB), b"two"):
            assert child.ask(message, 20, 4 * MIB) == message


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("sys.exit(3)", "crashed"),
        ("read(); os.kill(os.getpid(), 9)", "crashed"),
        ("read(); time.sleep(60)", "timeout"),
        ("time.sleep(60)", "timeout"),
        ("read(); say(b'ab', 200); time.sleep(60)", "timeout"),
        ("read(); sys.stdout.buffer.write(b'abc'); sys.stdout.flush(); sys.exit()", "crashed"),
        ("read(); say(bytes(2000))", "too-long"),
        ("read(); say(b'', 4_000_000_000)", "too-long"),
    ],
)
def test_whatever_it_does_asking_ends_in_time_and_so_does_it(folder: Path, code: str, failure: str) -> None:
    child = talk(folder, code)
    begun = time.monotonic()
    with pytest.raises(ConversationError) as refused:
        # More than a pipe holds: a child that does not read cannot block us either.
        child.ask(bytes(MIB), 3, 1000)
    assert refused.value.failure == failure
    assert time.monotonic() - begun < 15
    assert not child.is_open
    with pytest.raises(ConversationError):
        child.ask(b"again", 1, 1000)


def test_it_sees_none_of_our_files_changes_none_and_has_no_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").write_text("KILOLIMA")
    monkeypatch.setenv("LIGHTWELL_SECRET", "KILOLIMA")
    code = f"""
import socket
read()
found = []
for path in ({str(tmp_path / "outside")!r}, "../outside", "/etc/passwd", "/proc/1/environ", "/w/../outside"):
    try: found.append(open(path).read())
    except OSError: pass
for path in ("new", "program"):
    try: open(path, "w"); found.append("wrote " + path)
    except OSError: pass
try: socket.create_connection(("127.0.0.1", 4222), 1); found.append("connected")
except OSError: pass
found.append(os.environ.get("LIGHTWELL_SECRET", ""))
say("".join(found).encode())
"""
    with talk(folder, code) as child:
        assert child.ask(b"", 10, 1000) == b""
    assert [path.name for path in folder.iterdir()] == ["program"]


def test_nothing_of_others_runs_where_it_cannot_be_confined(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "bubblewrap", lambda: None)
    with pytest.raises(OSError, match="bubblewrap"):
        talk(folder, ECHO)


def test_an_interrupted_process_ends_its_conversations(folder: Path) -> None:
    child = talk(folder, ECHO)
    try:
        confine.interrupt()
        with pytest.raises(ConversationError):
            child.ask(b"x", 5, 10)
        with pytest.raises(confine.InterruptedRun):
            talk(folder, ECHO)
    finally:
        confine.resume()
        child.close()
