"""What the demo tells the person at the terminal: where it answers, how to sign in as whom, what to try."""

import shutil
import sys
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from lightwell.apps.demo.deployment import Deployment, badges
from lightwell.apps.demo.notebook import Notebook
from lightwell.apps.demo.personas import DEMO_VIEWER, MAKERS

_STAFF = {
    "analyst": "analyst at home",
    "colleague": "a colleague at home",
    "approver": "approver",
    "partner": "partner at the desk",
    "abroad": "analyst abroad",
    "parent": "staff under the parent",
}


def show_addresses(console: Console, deployment: Deployment) -> None:
    """Print where the planes answer."""
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_row("us cell", deployment.urls["us"])
    table.add_row("sg cell", deployment.urls["sg"])
    table.add_row("oversight", deployment.urls["oversight"])
    console.print(table)


def show_sign_ins(console: Console, deployment: Deployment, notebooks: dict[str, Notebook]) -> None:
    """Print a ready-made sign-in for each role; only a demo would do so."""
    us, oversight = deployment.urls["us"], deployment.urls["oversight"]
    console.print("\nSign-ins, for this demo only:", style="bold")
    rows = []
    maker = MAKERS[0].handle
    for role, cell, handle in (
        ("viewer", "us", DEMO_VIEWER.handle),
        ("creator", "us", maker),
        ("viewer abroad", "sg", "ivy.harbour"),
    ):
        password = notebooks[cell].password(handle)
        if password is not None:
            rows.append(
                (role, f"{deployment.urls[cell]}/sign-in  as [bold]{handle}[/bold], password {password}")
            )
    for badge in badges(deployment, "us"):
        link = f"{us}/staff/sign-in#key={quote(badge.key.text(), safe='')}"
        rows.append((_STAFF[badge.ident], link))
    keys = deployment.oversight / "keys"
    rows += [
        ("partner", f"{oversight}/feed-monitor  (its key: {keys / 'partner.key'})"),
        ("board", f"{oversight}/reports  (keys: {keys}/board-1.key to board-3.key)"),
        ("authority", f"{oversight}/orders  (key: {keys / 'authority.key'})"),
    ]
    for role, how in rows:
        # Long links stay on one line, so that a terminal lets them be clicked.
        console.print(f"  [dim]{role:<24}[/dim]{how}", soft_wrap=True)


def show_what_to_try(console: Console, deployment: Deployment) -> None:
    """Print what to look at first."""
    us, oversight = deployment.urls["us"], deployment.urls["oversight"]
    key = deployment.oversight / "keys" / "authority.key"
    board = deployment.cell("us") / "roster.toml"
    # As this shell would find it: on its path, or beside the Python that runs the demo.
    lightwell = "lightwell" if shutil.which("lightwell") else str(Path(sys.executable).with_name("lightwell"))
    tries = (
        f"Watch: sign in at {us} and swipe; tap [green]Checked[/green] for the proof, Why for the reasons.",
        f"Make: {us}/create takes a film from disk or from the camera and sets it to a sound.",
        f"Compare: {lightwell} demo --feeds --data {deployment.folder}; two tastes turn in minute three.",
        f"Follow the monitor: {oversight} counts slates replayed while you swipe.",
        f"Ask as staff abroad for @{DEMO_VIEWER.handle}'s e-mail, see the refusal at {oversight}/access.",
        f"Ask as the analyst at home, approve as the approver, read; each step is at {oversight}/access,",
        f"and at {us}/me#looks, as {DEMO_VIEWER.handle}: who looked, by entries that your browser checks.",
        "Break the glass as a colleague at home, alone: it opens at once, and the monitor raises the alarm.",
        f"Count as the analyst abroad: {us}/staff/counts answers with noise, and a budget runs down.",
        f"Stop uploads: {lightwell} order suspend uploads --key {key} --cell us --url {oversight}",
        f"And again: {lightwell} order lift uploads --key {key} --cell us --url {oversight}",
        f"Verify: curl -s '{oversight}/api/reports/latest?cell=us' > report.txt; "
        f"{lightwell} report verify report.txt --roster {board}",
    )
    console.print("\nWhat to try:", style="bold")
    for line in tries:
        console.print(f"  {line}", soft_wrap=True)
