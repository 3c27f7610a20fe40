"""The folder that making data works in: a folder of parts for each step, and the marks that they leave.

    FOLDER/documents/     what `extract` read: documents, and ready pairs in parts named `*.pairs.parquet`
    FOLDER/blocks/        what `clean` made of them: their blocks, with the reason where one is left out
    FOLDER/pairs/         what the rules made of the blocks, and the ready pairs
    FOLDER/marks/NAME/    why documents or pairs should not be used, one folder a step
    FOLDER/negatives/     hard negatives of the pairs
    FOLDER/mixture/       the training set and its manifest

A part of one step and the part of the next that was made from it have the same name, so a pair's document
lies in the part of that name, and a row's marks too.
"""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

from yuyi.data.step import read_record
from yuyi.errors import InputError
from yuyi.records import read_marks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from yuyi.data.step import StepRecord
    from yuyi.records import Mark

READY_SUFFIX = ".pairs.parquet"
# Which verb makes each folder, so that an error can name it.
VERBS = {
    "documents": "extract",
    "blocks": "clean",
    "pairs": "pairs",
    "negatives": "mine",
    "mixture": "mix",
    "marks/documents": "dedupe",
    "marks/duplicates": "dedupe",
    "marks/filters": "filter",
    "marks/consistency": "consistency",
    "marks/quality": "quality",
    "marks/evaluation": "decontaminate",
}
# Marks on documents; all other marks are on pairs.
DOCUMENT_MARKS = ("marks/documents",)


class DataFolder:
    """The steps that were done in a folder, and their files.

    Args:
        path: the folder; it need not exist before the first step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, step: str) -> StepRecord | None:
        """What a step says of itself, or None where it was not done."""
        return read_record(self.path / step)

    def need(self, step: str) -> StepRecord:
        """What a step says of itself, after a look at what it was made from.

        Raises:
            InputError: it was not done, or what it was made from is not what is there now; the message names
                the command to run.
        """
        record = self.record(step)
        if record is None:
            raise InputError(f"{self.path}: holds no finished {step}. Run: {self._command(step)}")
        # What `extract` reads has the names of sources, and one may be called like a step.
        for name, digest in record.inputs.items() if step != "documents" else ():
            if name in VERBS and self.need(name).digest != digest:
                raise InputError(
                    f"{self.path / step}: was made from other {name} than are there now. "
                    f"Run again: {self._command(step)}"
                )
        return record

    def remove(self, verb: str) -> None:
        """Remove what a verb made, if it made anything."""
        for step, maker in VERBS.items():
            if maker == verb and (self.path / step).exists():
                shutil.rmtree(self.path / step)

    def _command(self, step: str) -> str:
        return f"yuyi data {VERBS.get(step, step)} {shlex.quote(str(self.path))}"

    def parts(self, step: str) -> dict[str, Path]:
        """The Parquet parts of a step in order, by name without suffix.

        Files that lie beside them and have a second suffix, such as ready pairs, are left out.

        Raises:
            InputError: the step was not done.
        """
        return {
            name.removesuffix(".parquet"): self.path / step / name
            for name in self.need(step).parts
            if name.endswith(".parquet") and name.count(".") == 1
        }

    def ready_pairs(self) -> dict[str, Path]:
        """The parts of `documents` that hold ready pairs, by name without suffix.

        Raises:
            InputError: nothing was extracted.
        """
        return {
            name.removesuffix(READY_SUFFIX): self.path / "documents" / name
            for name in self.need("documents").parts
            if name.endswith(READY_SUFFIX)
        }

    def mark_steps(self, *, on: str = "pairs", without: Collection[str] = ()) -> list[str]:
        """The steps that have marked pairs (or, with `on="documents"`, documents), as `marks/NAME`.

        Those in `without` are left out and not looked at, which is what a step does with its own old marks.

        Raises:
            InputError: marks were made from something else than is there now.
        """
        # What a killed process left under a name with a dot is a step once it is put in its place.
        names = sorted(f"marks/{file.parent.name}" for file in self.path.glob("marks/[!.]*/step.json"))
        wanted = [name for name in names if (name in DOCUMENT_MARKS) == (on == "documents")]
        found = [name for name in wanted if name not in without]
        for name in found:
            self.need(name)
        return found

    def marks(self, part: str, steps: Collection[str]) -> Iterator[Mark]:
        """The marks that some steps, as `mark_steps` names them, put on the rows of a part.

        Raises:
            InputError: a step was not done, or a file of its marks is missing or damaged.
        """
        for step in steps:
            record = self.record(step)
            if record is None:
                self.need(step)
            elif f"{part}.parquet" in record.parts:
                yield from read_marks(self.path / step / f"{part}.parquet")

    def dropped_rows(self, part: str, *, without: Collection[str] = (), on: str = "pairs") -> set[int]:
        """Numbers of the rows of a part that some step marked, not counting the steps in `without`."""
        return {mark.row for mark in self.marks(part, self.mark_steps(on=on, without=without))}
