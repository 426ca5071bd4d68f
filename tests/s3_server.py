"""A real S3 server of the tests' own: SeaweedFS from its wheel, on free ports, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

WEED = Path(sys.executable).with_name("weed")


class S3Server:
    """Runs from its making until `stop`; `bind` is where it listens, `host` where clients are to look."""

    def __init__(self, bind: str = "127.0.0.1", host: str = "127.0.0.1") -> None:
        self.host = host
        # A port that was free a moment ago may be taken by now: others are tried then.
        for tries_left in reversed(range(5)):
            try:
                self._start(bind)
                return
            except RuntimeError:
                if not tries_left:
                    raise

    def _start(self, bind: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lightwell-s3-"))
        self.port = _free_port()
        ports = {name: _free_port() for name in ("master.port", "volume.port", "filer.port")}
        command = [str(WEED), "server", f"-dir={self.folder}", "-ip=127.0.0.1", f"-ip.bind={bind}", "-s3"]
        command += [f"-s3.port={self.port}", *(f"-{name}={port}" for name, port in ports.items())]
        command += [f"-{name.split('.')[0]}.port.grpc={_free_port()}" for name in (*ports, "s3.port")]
        # Ports of 0 switch off catalogue services that nobody here asks for.
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=8", "-master.volumeSizeLimitMB=64"]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + 60
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "log").read_text(errors="replace")[-2000:]
                self.stop()
                raise RuntimeError(f"the S3 server did not start:\n{said}")
            time.sleep(0.1)

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs in its environment to find this server."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self.host}:{self.port}",
            "AWS_ACCESS_KEY_ID": "lightwell",
            "AWS_SECRET_ACCESS_KEY": "lightwell",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        }

    def new_prefix(self) -> str:
        """Return the `s3://` address of an empty prefix; a bucket for each would cost volumes."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/lightwell", method="PUT")
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=30):
            pass
        return f"s3://lightwell/{secrets.token_hex(6)}"

    def stop(self) -> None:
        """End the server and delete what it holds."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


def is_installed() -> bool:
    """Say whether the server's program is beside this Python."""
    return os.access(WEED, os.X_OK)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
