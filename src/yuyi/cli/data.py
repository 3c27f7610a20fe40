"""`yuyi data`: from raw text to training pairs, all at once or a step at a time."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yuyi.cli import data_show
from yuyi.cli.data_told import tell
from yuyi.cli.options import JsonOption, QuietOption
from yuyi.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from yuyi.data.config import DataConfig
    from yuyi.progress import Done

app = typer.Typer(
    no_args_is_help=True, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]}
)

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH...", help="Files, folders or dumps; or none, if --config names them."),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where everything goes.")]
FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The folder that `extract` made.", show_default=False)
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="FILE", help="Settings of all steps, in YAML.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as mix.alpha=0.3; may be repeated."),
]
EvalOption = Annotated[
    list[Path] | None,
    typer.Option("--eval", metavar="PATH", help="Mark what equals or resembles texts of these test sets."),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=1, help="Processes; one a core if not given.")
]


@app.callback()
def _data() -> None:
    """Make training pairs out of raw text, with a reason for every drop.

    All at once (make) or a step at a time, in this order: extract, dedupe, clean, pairs, filter, dedupe,
    decontaminate, consistency, quality, mine, mix. Steps mark pairs and delete none; `mix` obeys the marks.
    A step that was killed goes on where it was; one that is done is kept until its settings or inputs change.
    """


@app.command()
def make(
    out: OutOption,
    paths: PathsArgument = None,
    evaluation: EvalOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a training set: every step from extract to mix, and the report.

    \b
    Examples:
      yuyi data make docs/ -o pairs/
      yuyi data make 文档/ 论坛/Posts.xml faq.csv -o pairs/ --eval tests/
      yuyi data make -o pairs/ --config data.yaml --set mix.alpha=0.5
    """
    _require()
    from yuyi.data.folder import DataFolder
    from yuyi.data.make import make
    from yuyi.data.showing.report import write_report

    chosen = _config(config, settings, paths, evaluation)
    folder = DataFolder(out)
    records = {}
    for name, record in make(folder, chosen, workers=workers, shown=_display(quiet)):
        records[name] = record
        if not quiet and not as_json:
            tell(name, record, out)
    page = write_report(folder)
    if as_json:
        typer.echo(json.dumps({name: asdict(record) for name, record in records.items()}, ensure_ascii=False))
    elif not quiet:
        for part in records["mix"].parts:
            typer.echo(out / "mixture" / part)
        typer.echo(page)


@app.command()
def extract(
    out: OutOption,
    paths: PathsArgument = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read documents and ready pairs out of files, folders and dumps.

    Markdown, reStructuredText, HTML, plain text, JSONL, CSV, Parquet, Stack Exchange and MediaWiki XML, forum
    threads, parallel files; which one is meant is told by the name and the first lines, or by --config.

    \b
    Examples:
      yuyi data extract docs/ 问答.csv -o pairs/
      yuyi data extract stackexchange/Posts.xml zhwiki.xml.bz2 -o pairs/
    """
    _require()
    chosen = _config(config, settings, paths)
    _run("extract", out, chosen, workers, quiet, as_json)


@app.command()
def decontaminate(
    folder: FolderArgument,
    evaluation: EvalOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Mark pairs that overlap with test sets, by the name of the set.

    \b
    Example:
      yuyi data decontaminate pairs/ --eval tests/
    """
    _require()
    chosen = _config(config, settings, None, evaluation)
    _run("decontaminate", folder, chosen, workers, quiet, as_json)


@app.command()
def quality(
    folder: FolderArgument,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Of an OpenAI-compatible server, such as .../v1")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The model that judges.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it would cost, and ask nothing.")
    ] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a language model judge the pairs, and mark those that it scores low.

    \b
    Examples:
      yuyi data quality pairs/ --base-url http://localhost:8000/v1 --model qwen --dry-run
      yuyi data quality pairs/ --config data.yaml --set quality.sample=2000
    """
    _require()
    chosen = _config(
        config, settings,
        quality__base_url=base_url, quality__model=model, quality__dry_run=dry_run or None,
    )  # fmt: skip
    _run("quality", folder, chosen, workers, quiet, as_json)


# The verbs without options of their own: which steps each runs, and what its help says.
_VERBS = {
    "clean": (
        ("clean",),
        "Divide documents into blocks, clean them, tell their language, and mark what says nothing.",
    ),
    "pairs": (
        ("pairs",),
        "Make pairs of the blocks by named rules; --set pairs.rules.neighbours=false leaves one out.",
    ),
    "dedupe": (
        ("dedupe documents", "dedupe pairs"),
        "Mark documents, and pairs once there are any, that say again what an earlier one said.",
    ),
    "filter": (
        ("filter",),
        "Mark pairs that are too short, repeat themselves, mix languages, or are otherwise no use.",
    ),
    "consistency": (
        ("consistency",),
        "Mark pairs whose answer an encoder does not find for its question among the source's answers.",
    ),
    "mine": (
        ("mine",),
        "Find hard negatives: texts that look like the answer to a question and are not.",
    ),
    "mix": (
        ("mix",),
        "Draw the training set from what no step marked, and write a manifest beside it.",
    ),
}


def _verb(steps: tuple[str, ...]) -> Callable[..., None]:
    def run(
        folder: FolderArgument,
        config: ConfigOption = None,
        settings: SetOption = None,
        workers: WorkersOption = None,
        quiet: QuietOption = False,
        as_json: JsonOption = False,
    ) -> None:
        _require()
        from yuyi.data.folder import DataFolder

        chosen = _config(config, settings, wanted=steps[0])
        for step in steps:
            if step != "dedupe pairs" or DataFolder(folder).record("pairs") is not None:
                _run(step, folder, chosen, workers, quiet, as_json)

    return run


for _name, (_steps, _help) in _VERBS.items():
    app.command(_name, help=_help)(_verb(_steps))
for _shown in (data_show.report, data_show.sample, data_show.trace):
    app.command()(_shown)


def _require() -> None:
    from yuyi.extras import require

    require("data")


def _config(
    path: Path | None,
    settings: list[str] | None,
    paths: list[Path] | None = None,
    evaluation: list[Path] | None = None,
    wanted: str = "",
    **given: Any,
) -> DataConfig:
    """The settings of a file and of the command line.

    Args:
        path: the file.
        settings: of `--set`.
        paths: what is read instead of the file's sources.
        evaluation: the test sets instead of the file's.
        wanted: a step that runs even without settings.
        given: other options by key, with two underscores for the dot.
    """
    from yuyi.config import read_assignments
    from yuyi.data.config import read_data_config

    assignments = {key.replace("__", "."): value for key, value in given.items() if value is not None}
    if paths:
        assignments["extract.sources"] = [{"path": str(each)} for each in paths]
    if evaluation:
        assignments["decontaminate.evaluation"] = [str(each) for each in evaluation]
    return read_data_config(path, {**assignments, **read_assignments(settings or [])}, wanted)


def _run(
    name: str, folder: Path, config: DataConfig, workers: int | None, quiet: bool, as_json: bool
) -> None:
    from yuyi.data.folder import DataFolder
    from yuyi.data.make import run_one

    record = run_one(name, DataFolder(folder), config, workers=workers, shown=_display(quiet))
    if as_json:
        typer.echo(json.dumps(asdict(record), ensure_ascii=False))
    elif not quiet:
        tell(name, record, folder)


def _display(quiet: bool) -> Any:
    def shown(name: str) -> AbstractContextManager[Done]:
        return progress(name, shown=False if quiet else None)

    return shown
