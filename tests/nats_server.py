"""A NATS server with JetStream of the tests' own, in a folder and on a port that nobody else has."""

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path


class NatsServer:
    """Runs from its making until `stop`; `halt` and `start` between them keep what it holds and its port."""

    def __init__(self, bind: str = "127.0.0.1", host: str = "127.0.0.1") -> None:
        self._bind = bind
        self._folder = Path(tempfile.mkdtemp(prefix="lightwell-nats-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"nats://{host}:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Run, and return once it answers."""
        self._process = subprocess.Popen(
            [
                _program() or "nats-server",
                "-js",
                "-sd",
                str(self._folder),
                "-a",
                self._bind,
                "-p",
                str(self._port),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2400):
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the NATS server did not start")

    def halt(self) -> None:
        """Kill it, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Kill it and remove what it held."""
        self.halt()
        shutil.rmtree(self._folder, ignore_errors=True)


def is_installed() -> bool:
    """Say whether the server's program is there."""
    return _program() is not None


def _program() -> str | None:
    # The distribution puts it where only root looks.
    return shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
