"""Types that are read by several threads are ready before the first of them comes."""

import subprocess
import sys
from pathlib import Path

import pytest

AGREEMENT = Path(__file__).parents[3] / "agreements" / "us-2026-joint-venture.toml"
# Without `settle` about half of such processes die of a segmentation fault.
TOGETHER = """
import sys, threading
from pathlib import Path
from lightwell.agreement.load import parse
text, start = Path(sys.argv[1]).read_text("utf-8"), threading.Barrier(4)
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=lambda: (start.wait(), parse(text))) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("attempt", range(6))
def test_threads_that_read_the_first_agreement_together_all_read_it(attempt: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", TOGETHER, str(AGREEMENT)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"attempt {attempt}: {ran.returncode} {ran.stderr}"
