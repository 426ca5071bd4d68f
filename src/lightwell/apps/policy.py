"""`lightwell policy`: write, check, propose, approve and adopt ranking policies, and see those that were."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from lightwell.agreement.policy_papers import make_paper
from lightwell.apps.ledger_options import AsJson
from lightwell.recommender.policy import RankingPolicy, default_policy, differences, parse
from lightwell.recommender.policy_file import LONGEST, PolicyFileError, dump_file, parse_file
from lightwell.wire.keys import SigningKey

app = typer.Typer(help="Check, propose, approve and adopt ranking policies.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A policy file (TOML).")]
Digest = Annotated[str, typer.Argument(help="A policy's digest, or the file itself.")]
Url = Annotated[str, typer.Option(help="Address of the cell.")]
KeyFile = Annotated[Path, typer.Option("--key", help="File with the signer's key.")]
CellName = Annotated[str, typer.Option("--cell", help="The cell it is for.")]


class CommandError(ValueError):
    """What was asked cannot be done; the first line of the text says why."""


@app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Check a policy file and say what it changes against the default."""
    policy = _load(file)
    changed = differences(default_policy(), policy)
    if as_json:
        typer.echo(json.dumps({"digest": policy.digest, "version": policy.version, "changed": changed}))
        return
    typer.echo(f"{policy.digest} version {policy.version}")
    _print_changes(changed)


@app.command()
def show(
    digest: Annotated[str, typer.Argument(help="A policy's digest; the one in force if not given.")] = "",
    url: Annotated[str, typer.Option(help="Address of a cell; the default policy if not given.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print a policy as a file that can be edited and proposed."""
    if digest and not url:
        raise CommandError("say with --url which cell has that policy")
    policy = _fetch(url, digest or _in_force(url)) if url else default_policy()
    typer.echo(json.dumps(_plain(policy)) if as_json else dump_file(policy), nl=as_json)


@app.command()
def propose(file: File, key: KeyFile, cell: CellName, url: Url, as_json: AsJson = False) -> None:
    """Propose a policy file to a cell."""
    policy = _load(file)
    paper = make_paper(_key(key), "propose", cell, policy.digest)
    _print_standing(_post(url, "", {"file": _text(file), "paper": paper}), as_json)


@app.command()
def approve(
    policy: Digest,
    key: KeyFile,
    cell: CellName,
    url: Url,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a proposed policy changes, and approve it."""
    digest = _digest(policy)
    # What is shown is what is signed: the fetched bytes hash to the digest in the paper.
    changed = differences(_fetch(url, _in_force(url)), _fetch(url, digest))
    if not as_json:
        _print_changes(changed)
    if not yes and not typer.confirm(f"Approve {digest[:12]} for {cell}?", err=True):
        raise CommandError("not approved")
    paper = make_paper(_key(key), "approve", cell, digest)
    _print_standing(_post(url, "/approvals", {"paper": paper}), as_json)


@app.command()
def adopt(policy: Digest, key: KeyFile, cell: CellName, url: Url, as_json: AsJson = False) -> None:
    """Adopt a policy that enough others approved; it serves once its entry is in the ledger."""
    paper = make_paper(_key(key), "adopt", cell, _digest(policy))
    _print_standing(_post(url, "/adoptions", {"paper": paper}), as_json)


@app.command()
def history(url: Url, as_json: AsJson = False) -> None:
    """List the policies a cell adopted, newest first, and those that wait for approval."""
    found = _get(url, "")["policies"]
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("Policy", "Version", "Status", "Entry", "Approved by", "Missing", box=None, pad_edge=False)
    for one in found:
        by = ", ".join(approval["seat"] or approval["role"] for approval in one["approvals"])
        missing = ", ".join(f"{count} as {what}" for what, count in one["lacking"].items())
        entry = "" if one["entry"] is None else str(one["entry"])
        table.add_row(one["digest"][:12], str(one["version"]), one["status"], entry, by, missing)
    Console().print(table)


@app.command()
def ranker(
    folder: Annotated[Path, typer.Argument(help="The folder of a cell.")],
    program: Annotated[Path, typer.Argument(help="The ranker's program: an ELF file, or Python.")],
) -> None:
    """Try another organisation's ranker confined, and keep it in a cell for a policy to name."""
    from lightwell.base.converse import ConversationError
    from lightwell.product.feed.external import MOST_PROGRAM_BYTES, RunningRanker, object_key
    from lightwell.recommender.external import AnswerError
    from lightwell.residency.cell import Cell

    if program.stat().st_size > MOST_PROGRAM_BYTES:
        raise CommandError(f"{program}: a ranker has at most {MOST_PROGRAM_BYTES} bytes")
    raw = program.read_bytes()
    try:
        RunningRanker(raw).close()
    except (ConversationError, AnswerError) as error:
        raise CommandError(f"{program}: it does not answer as a ranker does ({error})") from error
    digest = hashlib.sha256(raw).hexdigest()
    cell = Cell.open(folder)
    try:
        cell.objects.put(object_key(digest), raw)
    finally:
        cell.close()
    typer.echo(digest)


def _load(file: Path) -> RankingPolicy:
    try:
        return parse_file(_text(file))
    except PolicyFileError as error:
        raise CommandError(f"{file}, {error}") from error


def _text(file: Path) -> str:
    if file.stat().st_size > 4 * LONGEST:
        raise CommandError(f"{file}: a policy file has at most {LONGEST} characters")
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: not a text file") from error


def _key(file: Path) -> SigningKey:
    try:
        return SigningKey.from_text(file.read_text("ascii"))
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: not a key file") from error


def _digest(policy: str) -> str:
    if len(policy) == 64 and not set(policy) - set("0123456789abcdef"):
        return policy
    return _load(Path(policy)).digest


def _in_force(url: str) -> str:
    for one in _get(url, "")["policies"]:
        if one["status"] == "adopted" and one["entry"] is not None:
            return str(one["digest"])
    raise CommandError(f"{url}: no policy is in force there")


def _fetch(url: str, digest: str) -> RankingPolicy:
    raw = _request("GET", f"{url.rstrip('/')}/api/policies/{digest}").content
    if hashlib.sha256(raw).hexdigest() != digest:
        raise CommandError(f"{url}: the policy it gives does not hash to {digest[:12]}")
    policy = parse(raw)
    if policy.digest != digest:
        raise CommandError(f"{url}: the policy is of another version of this program")
    return policy


def _plain(policy: RankingPolicy) -> dict[str, Any]:
    from msgspec import to_builtins

    fields: dict[str, Any] = to_builtins(policy)
    return fields


def _print_changes(changed: list[tuple[str, str, str]]) -> None:
    if not changed:
        typer.echo("changes nothing")
    for name, before, after in changed:
        typer.echo(f"{name}: {before or 'none'} -> {after or 'none'}")


def _print_standing(standing: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(standing))
        return
    missing = ", ".join(f"{count} as {what}" for what, count in standing["lacking"].items())
    said = f"{standing['digest']} {standing['status']}, {standing['approvals']} approvals"
    typer.echo(f"{said}, missing {missing}" if missing else said)


def _get(url: str, path: str) -> dict[str, Any]:
    return _json(_request("GET", f"{url.rstrip('/')}/api/policies{path}"))


def _post(url: str, path: str, body: dict[str, str]) -> dict[str, Any]:
    return _json(_request("POST", f"{url.rstrip('/')}/api/policies{path}", body))


def _request(method: str, url: str, body: dict[str, str] | None = None) -> httpx.Response:
    try:
        answer = httpx.request(method, url, json=body, timeout=30)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"{url}: {error}") from error
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        try:
            document = answer.json()
            reason = f" ({document['reason']})" if "reason" in document else ""
            raise CommandError(f"refused{reason}: {document['detail']}")
        except (KeyError, TypeError, json.JSONDecodeError):
            raise CommandError(f"{url}: status {answer.status_code}") from None
    return answer


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError as error:
        raise CommandError(f"{answer.request.url}: the answer is not JSON") from error
    if not isinstance(found, dict):
        raise CommandError(f"{answer.request.url}: the answer is not an object")
    return found


if __name__ == "__main__":
    sys.exit(app())
