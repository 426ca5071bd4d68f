"""`lightwell staff`: the directory's own door; a change is an entry, a mistake one line and exit code 2."""

import json
import subprocess
import sys
from pathlib import Path

from lightwell.agreement.roster import Seat
from lightwell.residency.appointments_decided import decide
from lightwell.wire import entries as kinds
from tests.factories.cells import found_cell, fresh_key
from tests.factories.ledger import all_entries


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lightwell")), "staff", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_directory_is_changed_by_command_and_every_change_is_an_entry(tmp_path: Path) -> None:
    cell = found_cell(tmp_path / "us", f"sqlite:///{tmp_path / 'us.db'}")
    folder = str(tmp_path / "us")
    vkey = fresh_key("staff/ana").verifier().vkey()
    who = ("--role", "analyst", "--employer", "operator", "--place", "us", "--vetted")
    entered = run("enter", folder, "Ana", "--vkey", vkey, *who)
    assert entered.returncode == 0, entered.stderr
    staff_id = entered.stdout.strip()
    changed = run("change", folder, staff_id, "--place", "sg", "--above-entity", "parent")
    assert changed.stdout == "0 grants ended\n", changed.stderr
    listed = json.loads(run("list", folder, "--json").stdout)
    assert [(each["staff_id"], each["place"], each["line_excluded"]) for each in listed] == [
        (staff_id, "sg", True)
    ]
    wrong = run("dismiss", folder, "nobody")
    assert (wrong.returncode, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1)
    found = [kinds.decode(data) for data in all_entries(cell.settings, cell.database)]
    changes = [(e.change, e.what) for e in found if isinstance(e, kinds.DirectoryChanged)]
    assert changes == [("enrolled", []), ("changed", ["line", "place"])]
    cell.close()


def test_an_appointment_is_proposed_listed_and_signed_by_command(tmp_path: Path) -> None:
    authority = fresh_key("authority")
    seats = [Seat("authority", "Authority", authority.verifier().vkey())]
    cell = found_cell(tmp_path / "us", f"sqlite:///{tmp_path / 'us.db'}", seats=seats)
    folder, key = str(tmp_path / "us"), tmp_path / "authority.key"
    key.write_text(authority.text())
    vkey = fresh_key("staff/eva").verifier().vkey()
    who = ("--role", "executive", "--employer", "operator", "--place", "us")
    entered = run("enter", folder, "Eva", "--vkey", vkey, *who)
    assert "does not count yet" in entered.stderr
    (listed,) = json.loads(run("appointments", folder, "--json").stdout)
    assert (listed["person"]["name"], listed["state"]) == ("Eva", "proposed")
    file = tmp_path / "eva.json"
    file.write_text(json.dumps(listed))
    signed = run("sign", str(file), "--key", str(key), "--veto")
    assert signed.returncode == 0, signed.stderr
    assert decide(cell, signed.stdout) == "vetoed"
    (member,) = json.loads(run("list", folder, "--json").stdout)
    assert not member["appointed"]
    file.write_text(json.dumps(listed | {"person": listed["person"] | {"name": "Somebody else"}}))
    wrong = run("sign", str(file), "--key", str(key), "--consent")
    assert (wrong.returncode, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1)
    cell.close()
