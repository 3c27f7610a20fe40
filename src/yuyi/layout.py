"""Which files on disk mean which kind of model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of model folder, known by the files that only it has.

    Attributes:
        name: what the rest of the package calls it.
        marks: paths inside the folder that must all exist.
    """

    name: str
    marks: tuple[str, ...]


# Tried in this order: a folder may carry the marks of several, and the first says most.
LAYOUTS = (
    Layout("yuyi-static", ("yuyi.json", "tokenizer.json", "table.safetensors")),
    Layout("sentence-transformers-static", ("modules.json", "0_StaticEmbedding/model.safetensors")),
)


def find_layout(folder: Path) -> Layout:
    """The first layout whose marks are all in `folder`.

    Raises:
        ModelError: the folder does not exist, or no layout fits it.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder. Give the path of a folder that holds a model.")
    for layout in LAYOUTS:
        if all((folder / mark).is_file() for mark in layout.marks):
            return layout
    known = "; ".join(f"{layout.name}: {', '.join(layout.marks)}" for layout in LAYOUTS)
    raise ModelError(
        f"{folder}: not a model folder that yuyi can open. It needs one of these sets of files: {known}"
    )
