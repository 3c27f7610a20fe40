"""The state of a run on disk: folders that are whole or not there, the newest few of them kept.

A checkpoint is a folder `step-<stage>-<step>` with `tensors.safetensors`, `values.json` and `hashes.json`,
the SHA-256 of the other two. It appears under its name only when all of it has reached the disk; an older one
is removed only when the new one has been read back and found equal to what was to be saved.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch

from yuyi.artifacts import hash_file, publish_folder
from yuyi.errors import InputError, RecipeError, YuyiWarning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

_TENSORS, _VALUES, _HASHES = "tensors.safetensors", "values.json", "hashes.json"
_NAME = re.compile(r"step-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Saved:
    """What a checkpoint holds.

    Attributes:
        path: its folder.
        tensors: by name, on the CPU.
        values: JSON values.
    """

    path: Path
    tensors: dict[str, Tensor]
    values: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run.

    Attributes:
        last: the newest one that is known to be whole; None before any is read or written.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        """Take the folder that holds them, made when the first is written, and how many stay there."""
        self.last: Path | None = None
        self._folder = folder
        self._keep = keep

    def newest(self) -> Saved | None:
        """The newest checkpoint that is whole; None where there is none at all. The damaged are warned of.

        Raises:
            InputError: there are some and all are damaged.
        """
        found = self._all()
        fault = ""
        for path in found:
            try:
                saved = _read(path)
            except InputError as error:
                fault = fault or str(error)
                warnings.warn(f"{error} Going on from the one before, if there is one.", YuyiWarning, 2)
                continue
            self.last = path
            return saved
        if found:
            raise InputError(f"{fault} No other is whole. Delete {self._folder} to start again.")
        return None

    def write(self, stage: int, step: int, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Path:
        """The folder of a new checkpoint; those beyond the number to keep are gone then, the oldest first.

        Args:
            stage: number of the stage.
            step: number of the step within it; a later checkpoint has a higher pair of both.
            tensors: by name.
            values: JSON values.

        Raises:
            InputError: the place cannot be written, the disk is full, or it does not give back what it was
                given. What was saved before is untouched.
        """
        path = self._folder / f"step-{stage}-{step}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for left in self._folder.glob(".step-*"):  # Of a run that was killed while it wrote.
                shutil.rmtree(left)
        except OSError as error:
            raise InputError(f"{self._folder}: cannot be written ({error.strerror}). Make room.") from error
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        with publish_folder(path) as temporary:
            _fill(temporary, whole, values)
            if not _holds(temporary, whole, values):
                raise InputError(f"{path}: reads otherwise than it was written. Check the disk.")
        try:
            _sync(self._folder)
        except OSError as error:
            raise InputError(
                f"{path}: may not have reached the disk ({error.strerror}). Check the disk."
            ) from error
        self.last = path
        others = [other for other in self._all() if other != path]
        # A later one than this was damaged, or the run would have begun there.
        later = [other for other in others if _place(other) > (stage, step)]
        for old in later + others[len(later) + self._keep - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def _all(self) -> list[Path]:
        """Every checkpoint, the newest first."""
        if not self._folder.is_dir():
            return []
        found = [path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=_place, reverse=True)


def check_same_run(saved: Saved, run: Mapping[str, Any]) -> None:
    """Return when a checkpoint belongs to this run.

    Args:
        saved: its values have, under `run`, what the run was like that wrote it.
        run: JSON values, what this one is like.

    Raises:
        RecipeError: they differ; the message names the first key that does, and both values.
    """
    for key, before, now in _differences(saved.values["run"], json.loads(json.dumps(run)), ""):
        raise RecipeError(
            f"{saved.path}: saved with {key} {_shown(before)}, and now it is {_shown(now)}. Set it back to "
            "go on with that run, or start anew in another folder."
        )


_NOTHING = object()


def _differences(before: Any, now: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, old value and new value wherever two trees of JSON values differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*before, *(name for name in now if name not in before)]:
            inner = f"{key}.{name}" if key else name
            yield from _differences(before.get(name, _NOTHING), now.get(name, _NOTHING), inner)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for place, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _differences(old, new, f"{key}.{place}")
    elif before != now:
        yield key, before, now


def _shown(value: Any) -> str:
    text = "missing" if value is _NOTHING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fill(folder: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write the files of a checkpoint, on the disk when this returns.

    Raises:
        OSError: they cannot be written.
    """
    try:
        safetensors.torch.save_file(dict(tensors), folder / _TENSORS)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
    (folder / _VALUES).write_text(json.dumps(values), "utf-8")
    hashes = {name: hash_file(folder / name) for name in (_TENSORS, _VALUES)}
    (folder / _HASHES).write_text(json.dumps(hashes), "utf-8")
    for path in (*folder.iterdir(), folder):
        _sync(path)


def _sync(path: Path) -> None:
    """Return when a file or folder is on the disk; a full disk may say so only then."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> Saved:
    """A checkpoint whose files have their hashes.

    Raises:
        InputError: a file is missing or damaged.
    """
    try:
        hashes = json.loads((path / _HASHES).read_text("utf-8"))
        wrong = [name for name in (_TENSORS, _VALUES) if hash_file(path / name) != hashes[name]]
        if wrong:
            raise InputError(f"{path}: damaged checkpoint ({wrong[0]} is not as it was saved).")
        tensors = safetensors.torch.load_file(path / _TENSORS)
        return Saved(path, tensors, json.loads((path / _VALUES).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged checkpoint ({error}).") from error


def _holds(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> bool:
    """Whether a checkpoint gives back these tensors, byte by byte, and these values."""
    try:
        with safetensors.safe_open(path / _TENSORS, "pt") as file:
            if set(file.keys()) != tensors.keys():
                return False
            # One at a time, so that no second copy of a large model is in memory.
            equal = all(_same(file.get_tensor(name), tensor) for name, tensor in tensors.items())
        return equal and (path / _VALUES).read_text("utf-8") == json.dumps(values)
    except (OSError, ValueError, safetensors.SafetensorError):
        return False


def _same(read: Tensor, written: Tensor) -> bool:
    """Equal in type, shape and every byte; numbers that are none are equal, too."""
    return (
        read.dtype == written.dtype
        and read.shape == written.shape
        and torch.equal(read.flatten().view(torch.uint8), written.flatten().view(torch.uint8))
    )


def _place(path: Path) -> tuple[int, int]:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1]), int(match[2])
