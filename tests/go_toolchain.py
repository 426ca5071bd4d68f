"""Go for tests: the compiler beside this Python or on the path, Debian's sumdb packages, and no network."""

import shutil
import sys
from pathlib import Path

from tests.conftest import missing

ROOT = Path(__file__).parents[1]
SUMDB = Path("/usr/share/gocode/src/golang.org/x/mod/sumdb")


def require_go() -> str:
    """Return the path of the compiler; skip, or fail where services are required, if a part is missing."""
    beside = Path(sys.executable).with_name("go")
    found = str(beside) if beside.exists() else shutil.which("go")
    if found is None:
        missing("Go")
        raise AssertionError
    if not SUMDB.is_dir():
        missing("golang-golang-x-mod-dev")
    return found


def go_environment() -> dict[str, str]:
    """Return what keeps a build to this machine and to what was built before."""
    return {
        "GOPROXY": "off",
        "GOFLAGS": "-mod=mod",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "GOCACHE": str(ROOT / "build" / "go-build"),
    }
