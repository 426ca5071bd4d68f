"""Guards that can be taken away in a moment are, so that no test of theirs passes without them."""

import subprocess
import sys


def test_each_guard_that_is_switched_off_is_noticed_by_a_test() -> None:
    words = [sys.executable, "-m", "tests.scenarios.guards_off", "--fast"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "UNNOTICED" not in done.stdout
    assert len(done.stdout.splitlines()) > 4
