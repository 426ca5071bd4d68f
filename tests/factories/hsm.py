"""A token of SoftHSM, which is a PKCS#11 module in software, in a folder of the test's own."""

import os
import subprocess
from pathlib import Path

MODULES = [
    Path(place) / "softhsm/libsofthsm2.so"
    for place in ("/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
]
PIN = "2468013579"


def module() -> Path | None:
    """Return where SoftHSM's module is, or None."""
    return next((path for path in MODULES if path.exists()), None)


def configure(folder: Path) -> None:
    """Let this process's SoftHSM keep its tokens in `folder`; it reads that once, so once a process."""
    (folder / "tokens").mkdir(parents=True, exist_ok=True)
    config = folder / "softhsm2.conf"
    config.write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(config)


def make_token(folder: Path, name: str) -> str:
    """Make a token and a file with its PIN; return the URI that a cell's settings name it by."""
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", name, "--so-pin", "99887766", "--pin", PIN],
        check=True,
        capture_output=True,
    )
    pin = folder / f"{name}.pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN + "\n")
    return f"pkcs11:token={name}?module-path={module()}&pin-source=file:{pin}"
