"""The folder of a run: what it was begun with, the model at first, log and checkpoints, the model at last."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import publish_file
from yuyi.errors import InputError
from yuyi.file_lock import try_lock
from yuyi.train.running.checkpoint import Saved, check_same_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from yuyi.train.settings import TrainConfig

# Settings that change nothing about the result, and those that are paths, which may be written otherwise:
# what lies there is in the digest of all that is read, or in `start`.
_FREE = {
    tuple(key.split("."))
    for key in (
        "checkpoint",
        "log",
        "keep_stages",
        "license",
        "languages",
        "data.*.path",
        "replay.*.path",
        "documents",
        "model.folder",
        "model.tokenizer.folder",
        "teacher.folder",
        "teacher.vectors",
        "continual.previous",
    )
}


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

    def stage(self, name: str) -> Path:
        """The model that a stage ended with, where it is kept."""
        return self.path / "stages" / name

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

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """The folder, made where it is missing, for this process alone while the block lasts.

        A block that fails before `begin` leaves nothing that was not there before.

        Raises:
            InputError: the place cannot be written, or another process has it.
        """
        fresh = not self.path.exists()
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        try:
            with _locked(self.path):
                before = set(self.path.iterdir())
                try:
                    yield
                except BaseException:
                    if not self.facts.exists():
                        _remove(set(self.path.iterdir()) - before)
                    raise
        finally:
            if fresh:
                with contextlib.suppress(OSError):  # It is not empty.
                    self.path.rmdir()

    def begin(self, facts: dict[str, Any]) -> None:
        """Write down what the run is begun with, which makes the folder one to resume.

        Raises:
            InputError: the place cannot be written.
        """
        with publish_file(self.facts) as temporary:
            temporary.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")

    def compare(self, facts: dict[str, Any]) -> None:
        """Refuse to go on with a run that was begun otherwise.

        Args:
            facts: what has to be the same; what else the run was begun with is not looked at.

        Raises:
            RecipeError: a setting or the number of processes is another; the message names it.
            InputError: what the run was begun with cannot be read.
        """
        try:
            whole = json.loads(self.facts.read_bytes())
            begun = {key: value for key, value in whole.items() if key in facts}
        except (ValueError, AttributeError) as error:
            raise InputError(f"{self.facts}: damaged ({error}). Choose another place with --out.") from error
        check_same_run(Saved(self.facts, {}, {"run": begun}), facts)


def run_facts(config: TrainConfig, ranks: int) -> dict[str, Any]:
    """What a run has to share with the one that it goes on from: settings and number of processes."""
    return {**_decisive(asdict(config), ()), "world size": ranks}


def _decisive(tree: Any, key: tuple[str, ...]) -> Any:
    """The tree of settings under a key without what is free; `*` in a key is any place of a list."""
    if isinstance(tree, dict):
        inner = {str(name): (value, (*key, str(name))) for name, value in tree.items()}
        return {name: _decisive(value, place) for name, (value, place) in inner.items() if place not in _FREE}
    return [_decisive(each, (*key, "*")) for each in tree] if isinstance(tree, list | tuple) else tree


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """A block that one process at a time is in.

    Raises:
        InputError: another one is, or the place cannot be written.
    """
    place = folder / ".run.lock"
    with _writing(folder):
        file = place.open("w")
    with file:
        if not try_lock(file):
            raise InputError(
                f"{folder}: another process is training here. Wait for it, or choose another place with "
                "--out."
            )
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                place.unlink()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}). Choose another place with --out."
        ) from error


def _remove(paths: set[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
