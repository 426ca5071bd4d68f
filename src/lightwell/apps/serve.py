"""Runs granian for one cell, with the settings that its web processes need, and beside them its shards."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from lightwell.base.settings import CellSettings, load
from lightwell.product.feed.shards_keeper import ShardKeeper
from lightwell.recommender import kernels


def serve(folder: Path) -> None:
    """Serve the cell in `folder` at its own address until a signal ends it.

    Args:
        folder: the cell's folder; its settings say where, and by how many processes.

    Raises:
        SettingsError: the folder is not a cell's.
    """
    settings = load(folder)
    os.environ["LIGHTWELL_CELL"] = str(settings.folder)
    # Once, before there are several processes that would each compile the same.
    kernels.warm()
    with shards_of(settings):
        _serve_web(settings)


def shards_of(settings: CellSettings) -> AbstractContextManager[object]:
    """The processes that hold the catalogue, while they are entered; none if it is not split."""
    if settings.shards == 1:
        return nullcontext()
    return ShardKeeper(settings.path("shards"), settings.shards)


def _serve_web(settings: CellSettings) -> None:
    address = urlsplit(settings.url)
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
