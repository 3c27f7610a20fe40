"""The command `yuyi`: its verbs, and what happens when one of them fails.

A verb's module is imported when that verb is called. `yuyi --help` therefore reads its summaries from the
table below, and a verb that needs heavy packages costs the others nothing.

Exit codes: 0 done; 1 a check found something, nobody reads the output any more, or a bug in yuyi;
2 something the user can mend; 130 stopped by Ctrl-C, 143 and 129 by SIGTERM and SIGHUP.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from functools import partial
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from yuyi import __version__
from yuyi.errors import YuyiError, YuyiWarning

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# Each verb lives in yuyi/cli/<verb>.py as the function <verb>, or as the sub-application `app`.
SUMMARIES = {
    "similarity": "How close in meaning texts are to the first one.",
    "search": "Find the passages of files that answer a question.",
    "embed": "Turn every row of a file into a vector.",
    "info": "What a model is: dimensions, languages, licence, fingerprint.",
    "models": "The models known by name, and which of them are here.",
    "data": "Make training pairs from documents.",
    "train": "Train a model on pairs and documents; merge models.",
    "run": "Make a token table from raw text as a recipe says.",
    "evaluate": "Score a model on labelled files.",
    "compare": "Results side by side, and which differences are real.",
    "card": "Write a model card from results, or check one.",
    "export": "A model in other forms, each with its measured cost.",
}

# They end a verb as Ctrl-C does, so that what is half-written is taken away. Windows has no SIGHUP.
_STOPS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Stopped(KeyboardInterrupt):
    """A signal other than Ctrl-C's; its number is the argument."""


class Verbs(TyperGroup):
    """The group of all verbs; it imports the module of the one that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb named by the first argument, imported now, with its name and the other arguments."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        return name, load_verb(name) if name else placeholder, rest

    def invoke(self, ctx: Any) -> Any:
        """What the verb returns.

        Raises:
            typer.Exit: Ctrl-C or another signal stopped the verb; code 128 and its number.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            typer.echo("\nstopped; nothing was half-written", err=True)
            number = stop.args[0] if isinstance(stop, _Stopped) else signal.SIGINT
            raise typer.Exit(128 + number) from stop


app = typer.Typer(
    cls=Verbs,
    rich_markup_mode=None,  # Plain help keeps examples as written, and spares half of the start-up time.
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def load_verb(name: str) -> Any:
    """The command object of a verb, from its module."""
    module = import_module(f"yuyi.cli.{name}")
    verb: typer.Typer | None = getattr(module, "app", None)
    if verb is None:
        verb = typer.Typer(add_completion=False, context_settings=app.info.context_settings)
        verb.command(name)(getattr(module, name))
    return _plain(get_command(verb))


def run() -> NoReturn:
    """Run the command line on `sys.argv` and leave Python with its exit code."""
    sys.excepthook = _report_bug
    for number in _STOPS:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has SIGHUP ignored.
            signal.signal(number, _stop)
    warnings.simplefilter("always", YuyiWarning)
    warnings.showwarning = partial(_show_warning, warnings.showwarning)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # A terminal that cannot show Chinese shows question marks.
    try:
        get_command(app)(prog_name="yuyi")
    except YuyiError as error:
        _refuse(str(error))
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # What is still buffered would fail again at the end.
        _refuse(f"the output cannot be written ({error.strerror}). Make room, or send it elsewhere.")
    sys.exit(0)


def _stop(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)  # A second one ends what cleaning up cannot.
    raise _Stopped(number)


def _show_warning(
    usual: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any, **more: Any
) -> None:
    """Print a warning of yuyi's on one line, and any other as Python does."""
    if issubclass(category, YuyiWarning):
        typer.echo(f"warning: {' '.join(str(message).split())}", err=True)
    else:
        usual(message, category, *place, **more)


def _refuse(message: str) -> NoReturn:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(2)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Chinese and English text embeddings, offline.

    \b
    Examples:
      yuyi similarity "胡子长得太快怎么办？" "胡子长得快怎么办？" "香港买手表哪里好"
      yuyi search "怎么更换护照" documents/
      yuyi embed questions.txt -o questions.npy

    `yuyi VERB --help` explains a verb, with more examples.
    """


def _plain(command: Any) -> Any:
    """The same command, with plain help for itself and those in it."""
    command.rich_markup_mode = None
    for inner in getattr(command, "commands", {}).values():
        _plain(inner)
    return command


def _report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.__excepthook__(kind, error, trace)
    typer.echo(
        f"This is a bug in yuyi {__version__}, not a mistake of yours. "
        "Please report it with the lines above and the command you typed.",
        err=True,
    )


def _placeholder() -> None:
    """Stands for a verb in the list of verbs; `Verbs` puts the real one in its place."""


for _verb, _summary in SUMMARIES.items():
    app.command(_verb, help=_summary)(_placeholder)
