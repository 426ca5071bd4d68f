"""Starts `lightwell demo` as a user does, on a folder of its own, and stops it as Ctrl-C does."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from lightwell.base.settings import load

START_SECONDS = 180.0


@dataclass
class RunningDemo:
    """A demo that runs, and when it was started (`time.perf_counter` seconds)."""

    folder: Path
    began: float

    @property
    def url(self) -> str:
        return load(self.folder / "us").url

    def sign_in(self, client: httpx.Client) -> None:
        """Sign in as the first of the demo's own people."""
        notes = json.loads((self.folder / "us" / "demo.json").read_text("utf-8"))
        handle, password = next(iter(notes["passwords"].items()))
        answer = client.post("/api/session", json={"handle": handle, "password": password})
        answer.raise_for_status()

    def state(self) -> dict[str, Any]:
        """What the supervisor has written about its processes."""
        found: dict[str, Any] = json.loads((self.folder / "oversight" / "demo.state").read_text("utf-8"))
        return found

    def wait_for_feed(self, least: int) -> tuple[httpx.Client, float]:
        """Wait until a signed-in viewer is answered at least `least` videos whose first one plays.

        Returns:
            The signed-in client, and seconds since the demo was started.
        """
        while time.perf_counter() - self.began < START_SECONDS:
            time.sleep(0.1)
            try:
                client = httpx.Client(base_url=self.url, timeout=10)
                self.sign_in(client)
                items = client.get("/api/feed").json().get("items", [])
                if len(items) >= least:
                    clip = client.get(items[0]["video"]["media"]["540"], headers={"range": "bytes=0-65535"})
                    if clip.status_code == 206:
                        return client, time.perf_counter() - self.began
            except (OSError, ValueError, KeyError, StopIteration, httpx.HTTPError):
                continue
        raise TimeoutError(f"no feed of {least} videos within {START_SECONDS:g} s")


@contextmanager
def running_demo() -> Iterator[RunningDemo]:
    """Run a demo on a fresh folder while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as folder:
        log = (Path(folder) / "demo.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "lightwell", "demo", "--data", str(Path(folder) / "data")],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield RunningDemo(Path(folder) / "data", time.perf_counter())
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
            log.close()
