"""`lightwell demo`: runs the whole platform on one machine, or checks the whole journey and ends."""

import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from lightwell.apps.demo.supervisor import DemoError

ABSENT = ("oversight", "cleanroom")
FOLDER = "lightwell-data"


def demo(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder for us, sg and oversight; the same one goes on where it was."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Take the whole journey, headless, and end.")
    ] = False,
    video: Annotated[
        Path | None, typer.Option("--video", help="With --check: the film to upload.", dir_okay=False)
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="With --check: where to write the result.", dir_okay=False)
    ] = None,
    agreement: Annotated[
        Path | None,
        typer.Option("--agreement", help="The agreement to found the demo under.", dir_okay=False),
    ] = None,
    feeds: Annotated[
        bool, typer.Option("--feeds", help="Show what the simulated viewers' feeds are made of, and end.")
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without", help="Leave out `oversight` or `cleanroom`, to see the check fail by name."
        ),
    ] = None,
) -> None:
    """Run two cells and their oversight on this machine, filled with clips and viewers."""
    absent = frozenset(without or ())
    if not absent <= set(ABSENT):
        _refuse(f"--without takes {' or '.join(ABSENT)}, not {', '.join(sorted(absent - set(ABSENT)))}")
    if video is not None and not video.is_file():
        _refuse(f"{video}: no such file")
    if not check and (video or json_file):
        _refuse("--video and --json belong to --check")
    text = _agreement(agreement) if agreement else ""
    if feeds:
        _show_feeds(data or Path(FOLDER))
        return
    # A shell that starts this in the background has SIGINT ignored: Ctrl-C is to work all the same. And
    # whoever ends this process politely, or closes its terminal, gets the same orderly end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    console = Console(highlight=False)
    try:
        if check:
            sys.exit(_check(console, data, video, json_file, absent, text))
        from lightwell.apps.demo.live import run

        run(console, data or Path(FOLDER), absent, text)
    except DemoError as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _show_feeds(folder: Path) -> None:
    from lightwell.apps.demo.deployment import CELLS
    from lightwell.apps.demo.diary import read, show

    pages = {handle: page for cell in CELLS for handle, page in read(folder / cell).items()}
    if not pages:
        _refuse(f"{folder}: no simulated viewer has had a turn here")
    show(Console(highlight=False), pages)


def _check(
    console: Console,
    data: Path | None,
    video: Path | None,
    json_file: Path | None,
    absent: frozenset[str],
    agreement: str,
) -> int:
    from lightwell.apps.demo.checking import check_folder

    if data is not None:
        return check_folder(console, data, video, json_file, absent, agreement)
    with tempfile.TemporaryDirectory(prefix="lightwell-check-") as folder:
        return check_folder(console, Path(folder), video, json_file, absent, agreement)


def _agreement(file: Path) -> str:
    from lightwell.agreement.load import AgreementError, parse

    try:
        text = file.read_text("utf-8")
        parse(text)
    except AgreementError as error:
        _refuse(f"{file}:{error.line}: {error.reason}")
    except (OSError, UnicodeDecodeError) as error:
        _refuse(f"{file}: {error}")
    return text


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _refuse(sentence: str) -> NoReturn:
    sys.stderr.write(f"lightwell: {sentence}\n")
    sys.exit(2)
