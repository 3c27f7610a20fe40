"""`yuyi train`: a settings file to a model; what a run would take; models merged into one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from yuyi.cli.options import QuietOption

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
    from yuyi.train.run import Shown, run_training

    def say(line: str) -> None:
        if not quiet:
            typer.echo(line, err=True)

    folder = out or Path("runs") / chosen.name
    try:
        model = run_training(chosen, folder, Shown(say, lambda entry: say(str(entry))), resume=resume)
    except KeyboardInterrupt as stop:
        if (folder / "run.json").is_file():
            line = f"stopped; go on with: yuyi train {config} --resume{f' -o {out}' if out else ''}"
        else:
            line = "stopped; nothing was half-written"
        typer.echo(f"\n{line}", err=True)
        raise typer.Exit(130) from stop
    typer.echo(str(model))


def _read(path: Path, assignments: list[str] | None) -> TrainConfig:
    from yuyi.extras import require

    require("train")
    from yuyi.config import read_assignments
    from yuyi.train.settings import read_train_config

    return read_train_config(path, read_assignments(assignments or []))
