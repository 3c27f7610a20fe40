"""The folder of a run: what it was begun with, the model at first, log and checkpoints, the model at last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import publish_file
from yuyi.errors import InputError
from yuyi.train.running.checkpoint import Saved, check_same_run

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.train.settings import TrainConfig

# Settings that change nothing about the result, and those that are paths, which may be written otherwise.
_FREE = ("checkpoint", "log", "license", "languages", "path", "folder", "documents", "previous")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where everything of a run lies; `Trainer.run` leaves its log and checkpoints there.

    Attributes:
        path: the folder.
        name: of the model.
    """

    path: Path
    name: str

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / self.name

    @property
    def start(self) -> Path:
        """The model that training begins with."""
        return self.path / "start"

    @property
    def corpus(self) -> Path:
        """The pairs as tokens."""
        return self.path / "corpus"

    @property
    def passages(self) -> Path:
        """The documents as rows of tokens."""
        return self.path / "passages"

    @property
    def curves(self) -> Path:
        """The log drawn."""
        return self.path / "curves.png"

    @property
    def facts(self) -> Path:
        """What the run was begun with."""
        return self.path / "run.json"

    def check(self, resume: bool) -> None:
        """Refuse to train over what is there.

        Raises:
            InputError: a run is there, finished or not, and `resume` does not say to go on with it; or it is
                to go on and there is none.
        """
        if self.model.exists() and not resume:
            raise InputError(
                f"{self.path}: this run is finished; its model is {self.model}. Choose another place with "
                "--out to train again."
            )
        if self.facts.exists() and not resume:
            raise InputError(
                f"{self.path}: an unfinished run is there. Go on with it by --resume, or choose another "
                "place with --out."
            )
        if resume and not self.facts.exists():
            raise InputError(f"{self.path}: no run to go on with is there. Leave out --resume to begin one.")

    def make(self) -> None:
        """Make the folder.

        Raises:
            InputError: the place cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be a folder ({error.strerror}). Choose another place with --out."
            ) from error

    def begin(self, facts: dict[str, Any]) -> None:
        """Write down what the run is begun with, which makes the folder one to resume.

        Raises:
            InputError: the place cannot be written.
        """
        with publish_file(self.facts) as temporary:
            temporary.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")

    def compare(self, facts: dict[str, Any]) -> None:
        """Refuse to go on with a run that was begun otherwise.

        Raises:
            RecipeError: a setting or the number of processes is another; the message names it.
            InputError: what the run was begun with cannot be read.
        """
        try:
            begun = json.loads(self.facts.read_bytes())
        except ValueError as error:
            raise InputError(f"{self.facts}: damaged ({error}). Choose another place with --out.") from error
        check_same_run(Saved(self.facts, {}, {"run": begun}), facts)


def run_facts(config: TrainConfig, ranks: int) -> dict[str, Any]:
    """What a run has to share with the one that it goes on from: settings and number of processes."""
    return {**_decisive(asdict(config)), "world size": ranks}


def _decisive(tree: Any) -> Any:
    """A tree of settings without those that change nothing and those that are paths."""
    if isinstance(tree, dict):
        return {str(key): _decisive(value) for key, value in tree.items() if key not in _FREE}
    return [_decisive(each) for each in tree] if isinstance(tree, list | tuple) else tree
