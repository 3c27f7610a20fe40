"""`yuyi train`: a settings file to a model; what a run would take; models merged into one."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from yuyi.cli.options import JsonOption, QuietOption

if TYPE_CHECKING:
    from yuyi.train.settings import TrainConfig

# What `yuyi train FILE` is among the commands of the group; nobody types it.
_FILE = "(file)"


class TrainGroup(TyperGroup):
    """The group whose first argument is a settings file, unless it names one of the commands."""

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command that the first argument names, or of that which takes the file."""
        if args and args[0] in self.commands:
            return super().make_context(info_name, args, parent, **extra)
        return self.commands[_FILE].make_context(info_name, args, parent, **extra)


app = typer.Typer(
    cls=TrainGroup, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]}
)

ConfigArgument = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The settings, a YAML file.", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="One setting, such as stages.0.steps=100; may be repeated."
    ),
]


@app.callback()
def _train() -> None:
    """Train models, and merge them."""


@app.command(_FILE, hidden=True)
def train(
    config: ConfigArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where the run goes. Default: runs/NAME"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that was stopped there, exactly.")
    ] = False,
    settings: SetOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train a model as CONFIG says, and print its folder.

    The folder of a run holds training.jsonl (losses and speed), curves.png, the checkpoints, and in the end
    the model under its name. A run that was stopped goes on with --resume and ends with the same bytes.

    \b
    Other commands (a file of such a name is ./plan):
      yuyi train plan CONFIG      parameters, data, memory and time of a run, before anything runs
      yuyi train merge A B -o C   the weights of several models as one

    \b
    Examples:
      yuyi train encoder.yaml
      yuyi train 模型.yaml --set token_budget=8192 -o runs/二
      yuyi train encoder.yaml --resume
      torchrun --nproc-per-node 8 -m yuyi train encoder.yaml
    """
    chosen = _read(config, settings)
    from yuyi.cli.train_view import open_view
    from yuyi.encode.static_folder import StaticCard, write_static
    from yuyi.train.run import run_training

    def write_table(place: Path, tokenizer: Any, table: Any) -> None:
        about = StaticCard(chosen.name, tuple(chosen.dims), chosen.languages, chosen.license)
        write_static(place, about, tokenizer, table)

    folder = out or Path("runs") / chosen.name
    first = os.environ.get("RANK", "0") == "0"
    try:
        with open_view(chosen.name, quiet=quiet or not first) as view:
            model = run_training(chosen, folder, view, resume=resume, write_table=write_table)
    except KeyboardInterrupt:
        if first and (folder / "run.json").is_file():
            place = ["-o", str(out)] if out else []
            changed = [part for each in settings or [] for part in ("--set", each)]
            again = shlex.join(["yuyi", "train", str(config), "--resume", *place, *changed])
            typer.echo(f"\ngo on with: {again}", err=True)
        raise
    if first:
        typer.echo(str(model))


@app.command()
def plan(
    config: ConfigArgument,
    settings: SetOption = None,
    ranks: Annotated[
        int, typer.Option("--ranks", metavar="N", min=1, help="Devices that are to share the run.")
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """What a run would take: parameters, data, memory and time. Nothing is trained or written.

    The machine is measured for a second on texts as long as those of the data; other figures are computed.

    \b
    Examples:
      yuyi train plan encoder.yaml
      yuyi train plan encoder.yaml --ranks 8 --set token_budget=32768
    """
    chosen = _read(config, settings)
    from yuyi.train.planning.plan import plan_run

    found = plan_run(chosen, ranks)
    if as_json:
        typer.echo(json.dumps(asdict(found.estimate), ensure_ascii=False))
        return
    from yuyi.cli.train_plan import print_plan

    print_plan(chosen.name, found)


@app.command()
def merge(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Folders of two or more models.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="The new model.")],
    weights: Annotated[
        str | None,
        typer.Option(metavar="W,W,...", help="Share of each model, such as 0.7,0.3. Default: equal shares."),
    ] = None,
    slerp: Annotated[
        float | None,
        typer.Option(metavar="T", min=0, max=1, help="Of two models, the point T of the arc between."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """The weights of several models as one model; they must have been trained from the same start.

    \b
    Examples:
      yuyi train merge runs/a/model runs/b/model -o merged
      yuyi train merge old new -o kept --weights 0.3,0.7
      yuyi train merge old new -o halfway --slerp 0.5
    """
    _require()
    shares = _shares(models, weights, slerp)
    from yuyi.train.starting.merge import merge_folders

    merge_folders(models, out, shares, along_arc=slerp is not None)
    if not quiet:
        typer.echo(str(out))


def _shares(models: list[Path], weights: str | None, slerp: float | None) -> list[float]:
    """The share of each model, from the options."""
    from yuyi.errors import InputError

    if slerp is not None:
        if weights is not None or len(models) != 2:
            raise InputError(
                f"--slerp {slerp}: is for two models and without --weights; there are {len(models)} models. "
                "Leave one out."
            )
        return [1 - slerp, slerp]
    if weights is None:
        return [1.0] * len(models)
    try:
        shares = [float(each) for each in weights.split(",")]
    except ValueError as error:
        raise InputError(f"--weights {weights}: no numbers with commas between. Write 0.7,0.3") from error
    if len(shares) != len(models):
        raise InputError(f"--weights {weights}: {len(shares)} for {len(models)} models. Give each its own.")
    return shares


def _read(path: Path, assignments: list[str] | None) -> TrainConfig:
    _require()
    from yuyi.config import read_assignments
    from yuyi.train.settings import read_train_config

    return read_train_config(path, read_assignments(assignments or []))


def _require() -> None:
    from yuyi.extras import require

    require("train")
