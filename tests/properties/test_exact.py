"""The same records give the same bytes: in batches, in threads, on other machines and in another Python."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

import pytest

from tests.properties import slates

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.12", "3.13", "3.14")
PACKAGES = ("numpy", "numba", "llvmlite", "msgspec")


@cache
def here() -> list[str]:
    return slates.lines()


def elsewhere(program: str | Path, **environment: str) -> list[str]:
    """The lines of a fresh process."""
    found = subprocess.run(
        [program, "-m", "tests.properties.slates"],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout.split("\n")


def test_lines_differ_from_record_to_record() -> None:
    assert len(set(here())) > 0.8 * len(here()) > 300


def test_slates_ranked_in_any_order_and_by_two_threads_equal_single_ones() -> None:
    for name, make in slates.WORLDS.items():
        records, line = slates.records(name), partial(slates.line, make())
        single = [line(record) for record in records]
        backwards = [line(record) for record in reversed(records)][::-1]
        with ThreadPoolExecutor(2) as pool:
            # Each record twice running, so that two threads are at the same one.
            doubled = list(pool.map(line, [record for record in records for _ in range(2)]))
        assert backwards == single == doubled[::2] == doubled[1::2]


def _features_that_can_go() -> str:
    """The vector instructions numpy chose here, all of which it can do without."""
    from numpy._core import _multiarray_umath as kernels  # numpy names them nowhere else

    return " ".join(name for name in kernels.__cpu_dispatch__ if kernels.__cpu_features__[name])


@pytest.mark.parametrize(
    "settings",
    [
        {"OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "7"},
        {"NPY_DISABLE_CPU_FEATURES": "EVERY", "OPENBLAS_CORETYPE": "Prescott"},
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        {"NUMBA_OPT": "0"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_another_machine_gives_the_same_bytes(settings: dict[str, str], tmp_path: Path) -> None:
    if settings.get("NPY_DISABLE_CPU_FEATURES") == "EVERY":
        settings = settings | {"NPY_DISABLE_CPU_FEATURES": _features_that_can_go()}
    if any(name.startswith("NUMBA") for name in settings):
        # What is kept was compiled for this machine.
        settings = settings | {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert elsewhere(sys.executable, **settings) == here()


def test_another_python_gives_the_same_bytes(tmp_path: Path) -> None:
    program = _another_python()
    assert elsewhere(program, NUMBA_CACHE_DIR=str(tmp_path)) == here()


def _another_python() -> Path:
    """A Python of another version with the packages that ranking needs, of the locked versions."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [
        found
        for version in VERSIONS
        if version != own
        for found in [
            *Path.home().glob(f".pyenv/versions/{version}.*/bin/python"),
            f"/usr/bin/python{version}",
        ]
        if Path(found).exists()
    ]
    if not candidates:
        pytest.skip("no other Python is installed")
    folder = ROOT / "build" / "another-python"
    made = folder / "bin" / "python"
    lock = _lock_of(PACKAGES)
    kept = folder / "requirements.txt"
    if not (kept.exists() and kept.read_text("utf-8") == lock):
        subprocess.run([candidates[0], "-m", "venv", "--clear", folder], check=True, timeout=120)
        wanted = folder / "wanted.txt"
        wanted.write_text(lock, "utf-8")
        install = [
            made,
            "-m",
            "pip",
            "install",
            "-q",
            "--only-binary",
            ":all:",
            "--require-hashes",
            "-r",
            wanted,
        ]
        done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            pytest.skip(f"its packages cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        wanted.rename(kept)
    return made


def _lock_of(names: tuple[str, ...]) -> str:
    """The lines of the lock that pin these packages, with their hashes."""
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements" / "run.lock").read_text("utf-8"))
    return (
        "\n".join(block for block in blocks if block.startswith(tuple(f"{name}==" for name in names))) + "\n"
    )
