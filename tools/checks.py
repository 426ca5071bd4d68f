"""Checks of the tree that no other tool makes: the map, the labels, file sizes, addresses in locks."""

import importlib
import pkgutil
import sys
from pathlib import Path

import lightwell
from tools import map as house_map

ROOT = Path(__file__).parents[1]
MOST_LINES = 500


def stale_map() -> list[str]:
    """Name docs/map.md when it does not say what the modules say."""
    current = house_map.MAP.read_text("utf-8") if house_map.MAP.exists() else ""
    return [] if current == house_map.written() else ["docs/map.md is out of date: python -m tools.map"]


def unlabelled() -> list[str]:
    """Import every module; a column or message field without a label fails there."""
    wrong = []
    for module in pkgutil.walk_packages(lightwell.__path__, "lightwell."):
        try:
            importlib.import_module(module.name)
        except Exception as error:  # noqa: BLE001  each failure is a finding
            wrong.append(f"{module.name}: {type(error).__name__}: {error}")
    return wrong


def long_files() -> list[str]:
    """Name source files of more than 500 lines."""
    files = [
        path
        for folder in ("src", "tests", "bench", "tools")
        for suffix in ("*.py", "*.js", "*.css", "*.html")
        for path in (ROOT / folder).rglob(suffix)
    ]
    return [
        f"{path.relative_to(ROOT)} has more than {MOST_LINES} lines"
        for path in files
        if len(path.read_text("utf-8").splitlines()) > MOST_LINES
    ]


def addresses_in_locks() -> list[str]:
    """Name lock files that hold an address."""
    return [
        f"{path.relative_to(ROOT)} names an address"
        for path in (ROOT / "requirements").iterdir()
        if "://" in path.read_text("utf-8")
    ]


def main() -> None:
    """Print what is wrong, one line each, and exit 1 if anything is."""
    wrong = [*stale_map(), *unlabelled(), *long_files(), *addresses_in_locks()]
    for line in wrong:
        sys.stderr.write(line + "\n")
    sys.stdout.write(f"tree checks: {len(wrong)} wrong\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
