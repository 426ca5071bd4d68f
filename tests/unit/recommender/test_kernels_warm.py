"""Kernels are made ready once, by whichever thread comes first."""

import subprocess
import sys

TOGETHER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from lightwell.recommender import kernels
sys.setswitchinterval(1e-6)
with ThreadPoolExecutor(8) as pool:
    for made in [pool.submit(kernels.warm) for _ in range(8)]:
        made.result()
"""


def test_many_threads_may_make_kernels_ready_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", TOGETHER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
