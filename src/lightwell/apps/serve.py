"""Runs granian for one cell, with the settings that its web processes need."""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from lightwell.base.settings import load
from lightwell.recommender import kernels


def serve(folder: Path) -> None:
    """Serve the cell in `folder` at its own address until a signal ends it.

    Args:
        folder: the cell's folder; its settings say where, and by how many processes.

    Raises:
        SettingsError: the folder is not a cell's.
    """
    settings = load(folder)
    address = urlsplit(settings.url)
    os.environ["LIGHTWELL_CELL"] = str(settings.folder)
    # Once, before there are several processes that would each compile the same.
    kernels.warm()
    Granian(
        "lightwell.apps.web:create_app",
        factory=True,
        address=address.hostname or "127.0.0.1",
        port=address.port or 80,
        interface=Interfaces.ASGI,
        workers=settings.web_processes,
        loop=Loops.uvloop,
        log_access=False,
        log_level=LogLevels.warning,
        websockets=False,
        backlog=1024,
        workers_kill_timeout=3,  # open keep-alive connections would hold the end for as long as this
    ).serve()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
