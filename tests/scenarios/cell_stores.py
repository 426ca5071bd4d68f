"""Stores of one cell alone: a PostgreSQL, an S3 and a NATS server of its own, in its network namespace.

Run there, `python -m tests.scenarios.cell_stores FOLDER HOST`: it writes `stores.json` into the folder once
all three answer, and ends them when its standard input is closed.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from tests import nats_server, s3_server

PORT = 5432


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; None unless all three servers are installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    there = found and s3_server.is_installed() and nats_server.is_installed()
    return found[-1] if there else None


def main() -> None:
    folder, host = Path(sys.argv[1]), sys.argv[2]
    # The other two make their folders where temporary files go: all that a cell keeps is below one.
    tempfile.tempdir = str(folder)
    bin_folder = programs()
    assert bin_folder is not None
    database = _postgres(folder / "postgres", bin_folder)
    s3 = s3_server.S3Server("0.0.0.0", host)
    nats = nats_server.NatsServer("0.0.0.0", host)
    try:
        os.environ.update(s3.environment)
        _wait_for_postgres()
        with psycopg.connect(f"postgresql://postgres@127.0.0.1:{PORT}/postgres", autocommit=True) as admin:
            admin.execute("CREATE DATABASE cell")
        told = {
            "database": f"postgresql+psycopg://postgres@{host}:{PORT}/cell",
            "objects": s3.new_prefix(),
            "events": nats.url,
            "environment": s3.environment,
        }
        draft = folder / "stores.json.new"
        draft.write_text(json.dumps(told))
        draft.rename(folder / "stores.json")
        sys.stdin.read()
    finally:
        nats.stop()
        s3.stop()
        database.terminate()
        database.wait()


def _postgres(folder: Path, bin_folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir()
    # PostgreSQL refuses to run as root.
    words = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if words:
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    made = [*words, bin_folder / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True)
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.77.0.0/16 trust\n")
    settings = {"listen_addresses": "*", "port": str(PORT), "fsync": "off", "unix_socket_directories": ""}
    # What somebody else logs at their server, this one does too: each statement, with its values.
    settings |= {"log_statement": "all", "log_parameter_max_length": "-1", "max_connections": "200"}
    given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([*words, bin_folder / "postgres", "-D", data, *given], stdout=log, stderr=log)


def _wait_for_postgres() -> None:
    for _ in range(300):
        with contextlib.suppress(psycopg.Error):
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{PORT}/postgres", connect_timeout=2).close()
            return
        time.sleep(0.1)
    raise RuntimeError("PostgreSQL did not start")


if __name__ == "__main__":
    main()
