"""Threads of a process that give way go after others, alone and with whatever they start."""

import os
import subprocess
import sys
import threading

from lightwell.apps.background import Background

_PRIORITY = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"


def test_a_thread_that_gives_way_does_so_with_the_processes_it_starts_and_no_other_thread_does() -> None:
    seen: dict[str, tuple[int, int]] = {}

    def look(_: threading.Event) -> None:
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        started = subprocess.run(
            [sys.executable, "-c", _PRIORITY], capture_output=True, text=True, check=True
        )
        seen[threading.current_thread().name] = (own, int(started.stdout))

    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    background = Background()
    background.start("plain", look)
    background.start("polite", look, gives_way=True)
    background.end()
    assert not background.failed
    assert seen["plain"] == (here, here)
    assert seen["polite"][0] == seen["polite"][1] == min(here + 5, 19)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == here
