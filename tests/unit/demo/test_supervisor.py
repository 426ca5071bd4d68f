import os
import signal
import sys
import time
from pathlib import Path

import pytest

from lightwell.apps.demo.supervisor import Attached, Child, DemoError, Supervisor, is_running, read_state


def sleeper(folder: Path, name: str = "us worker") -> Child:
    code = "import time; print('up', flush=True); time.sleep(600)"
    return Child(name, (sys.executable, "-c", code), folder / "logs" / f"{name}.log")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_demos_never_share_a_folder(tmp_path: Path) -> None:
    with Supervisor(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(DemoError, match="running"):
            Supervisor(tmp_path)
    assert not is_running(tmp_path)


def test_stopping_leaves_no_process_behind(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start([sleeper(tmp_path, "a"), sleeper(tmp_path, "b")])
        state = read_state(tmp_path)
        assert state is not None
        assert state.ready
        pids = [process.pid for process in state.processes.values()]
        assert len(pids) == 2
        assert all(is_alive(pid) for pid in pids)
    assert not any(is_alive(pid) for pid in pids)


def test_a_child_that_ignores_the_request_to_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightwell.apps.demo.supervisor.STOP_SECONDS", 0.5)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('up', flush=True); time.sleep(99)"
    )
    log = tmp_path / "deaf.log"
    supervisor = Supervisor(tmp_path)
    supervisor.start([Child("deaf", (sys.executable, "-c", code), log)])
    while "up" not in log.read_text():
        time.sleep(0.02)
    started = time.monotonic()
    supervisor.stop()
    supervisor.release()
    assert time.monotonic() - started < 5


def test_a_child_that_stops_is_named_once_and_not_started_again(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start([sleeper(tmp_path, "us web")])
        state = read_state(tmp_path)
        assert state is not None
        os.kill(state.processes["us web"].pid, signal.SIGKILL)
        sentences: list[str] = []
        deadline = time.monotonic() + 60
        while not sentences and time.monotonic() < deadline:
            sentences = supervisor.newly_stopped()
        assert sentences[0].startswith("us web has stopped by signal 9")
        assert supervisor.newly_stopped() == []


def test_a_child_that_fails_at_start_is_quoted(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no such cell')")
    child = Child("sg web", command, tmp_path / "sg.log", health="http://127.0.0.1:9/")
    with Supervisor(tmp_path) as supervisor, pytest.raises(DemoError, match=r"stopped at once.*no such cell"):
        supervisor.start([child])


def test_restart_gives_new_processes_and_a_new_generation(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start([sleeper(tmp_path)])
        before = read_state(tmp_path)
        supervisor.restart()
        after = read_state(tmp_path)
        assert before is not None
        assert after is not None
        assert after.generation == before.generation + 1
        assert after.processes != before.processes


def test_children_of_a_killed_supervisor_are_ended_by_the_next(tmp_path: Path) -> None:
    first = Supervisor(tmp_path)
    first.start([sleeper(tmp_path)])
    state = read_state(tmp_path)
    assert state is not None
    first._lock.close()  # what the system does when the supervisor is killed
    second = Supervisor(tmp_path)
    assert first._running["us worker"].wait(5) == -signal.SIGKILL
    second.release()


def test_a_check_is_not_restarted_by_another(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start([sleeper(tmp_path)])
        with pytest.raises(DemoError, match="another check"):
            Attached(tmp_path).restart()
