"""`lightwell cleanroom`: what the partner looks at inside a cell; nothing of it leaves."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from lightwell.apps.ledger_options import AsJson

if TYPE_CHECKING:
    # Ranking takes long to load; other commands start without it.
    from lightwell.oversight.cleanroom import CleanRoom
    from lightwell.oversight.explained import ExplainedSlate

app = typer.Typer(help="Look at single slates inside a clean room.", no_args_is_help=True)


Folder = Annotated[Path, typer.Argument(help="The clean room's folder.")]
Slate = Annotated[str, typer.Argument(help="The slate's commitment in hex, or the index of its entry.")]


@app.command()
def explain(folder: Folder, slate: Slate, as_json: AsJson = False) -> None:
    """Rank one slate again; show contributions, chances, and what was dropped and why."""
    from lightwell.oversight.explained import explain_slate

    found = explain_slate(_room(folder).open(slate))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    _print(found)


@app.command()
def reask(
    folder: Folder,
    slate: Slate,
    program: Annotated[Path, typer.Argument(help="The program of the ranker that the policy names.")],
) -> None:
    """Ask another organisation's ranker again. Exit code 0: it answers as recorded; 1: it does not."""
    from lightwell.base.converse import ConversationError
    from lightwell.oversight.explained import ExplainError
    from lightwell.product.feed.external import RunningRanker, question_of
    from lightwell.recommender.external import AnswerError, recorded

    opened = _room(folder).open(slate)
    ranker, answer = opened.policy.external, opened.inputs.external
    if ranker is None or isinstance(answer, msgspec.UnsetType):
        raise ExplainError("no ranker of others was asked for this slate")
    raw = program.read_bytes()
    if hashlib.sha256(raw).hexdigest() != ranker.digest:
        raise ExplainError(f"{program}: this is not the ranker that the policy names")
    question = question_of(opened.snapshot, opened.policy, opened.inputs)
    running = RunningRanker(raw)
    try:
        # It may take as long as it likes: whether it was late then cannot be told now.
        again = recorded(ranker, [video for video, _ in question.candidates], running.scores(question, 60))
    except (ConversationError, AnswerError) as error:
        typer.echo(f"it does not answer now ({error}); recorded: {answer.failed or 'scores'}")
        sys.exit(1)
    finally:
        running.close()
    if answer.failed:
        typer.echo(f"recorded as failed ({answer.failed}); it answers now")
    elif again == answer:
        typer.echo(f"{len(again.scores)} scores, all as recorded")
    else:
        differing = len({*again.scores} ^ {*answer.scores})
        typer.echo(f"{differing} scores differ from those recorded")
    sys.exit(0 if again == answer else 1)


def _room(folder: Path) -> CleanRoom:
    from lightwell.oversight.cleanroom import CleanRoom
    from lightwell.oversight.settings import load_cleanroom

    return CleanRoom(load_cleanroom(folder))


def _print(found: ExplainedSlate) -> None:
    from lightwell.recommender.filters import DROPPED

    typer.echo(f"entry {found.index}, {found.tab}, hour {found.hour}: {found.outcome}")
    typer.echo(f"snapshot {found.snapshot}, policy {found.policy}")
    if found.outcome == "differs":
        typer.echo(f"the cell served: {' '.join(found.served) or 'nothing'}")
    console = Console()
    table = Table("Place", "Video", "Score", "Found by", "Chance", "Why", box=None, pad_edge=False)
    for item in found.items:
        why = "\n".join(
            f"{part.points:+d} {words}" for part, words in zip(item.contributions, item.words, strict=True)
        )
        chance = f"{item.propensity / 10_000:g} %"
        table.add_row(str(item.place), item.video, str(item.score), item.source, chance, why)
    console.print(table, markup=False)
    dropped = Table("Dropped", "Why", box=None, pad_edge=False)
    for video, reason in found.dropped:
        dropped.add_row(video, f"{reason}: {DROPPED[reason]}")
    console.print(dropped, markup=False)
