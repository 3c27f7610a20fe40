"""The training set: what no step marked, each source by its share, in random order, with a manifest.

Three passes in bounded memory. The first notes the group (source and kind) of every row that may be taken.
Then the rows of each group are drawn, and each gets a random key. The last writes the drawn rows of every
part sorted by that key, and merges the parts a stretch of keys at a time, which shuffles them.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from yuyi.artifacts import hash_file, publish_file
from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.mixing.draw import by_source, draw
from yuyi.data.mixing.manifest import manifest_of
from yuyi.data.mixing.rows import (
    current_negatives,
    drawn_table,
    negatives_by_row,
    own_negatives,
    write_jsonl,
    write_parquet,
)
from yuyi.data.reasons import Reasons
from yuyi.data.step import add_counts, run_step
from yuyi.errors import InputError, RecipeError
from yuyi.extras import require
from yuyi.records import read_batches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.data.folder import DataFolder
    from yuyi.data.step import Counts, StepRecord, Workplace
    from yuyi.progress import Done

# Rows that are sorted at a time, and rows of a part that one look at a stretch of keys reads.
_STRETCH, _GROUP = 50_000, 1_000
_CODE = ("data/mixture.py", "data/mixing", "data/reasons.py", "records.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Factors on what is drawn, 1 where nothing is said; a group of pairs has the product of its three.

    Attributes:
        sources: by name of a source.
        kinds: by kind of pair, which is the name of its rule.
        tasks: by name of a task.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    sources: dict[str, NonNegativeFloat] = field(default_factory=dict)
    kinds: dict[str, NonNegativeFloat] = field(default_factory=dict)
    tasks: dict[str, NonNegativeFloat] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Most rows that are taken; under a cap they are divided by size and weight.

    Attributes:
        sources: by name of a source.
        kinds: by kind of pair, over all sources.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    sources: dict[str, NonNegativeInt] = field(default_factory=dict)
    kinds: dict[str, NonNegativeInt] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureConfig:
    """What decides the training set.

    Attributes:
        alpha: with a `size`, a source of n pairs is drawn in proportion to n to this power: 1 as nature has
            it, 0 equally. Within a source the kinds of pairs keep their proportions. Without a `size` it has
            no effect.
        size: rows in all; None for every row that no step marked, once, or of a group with a weight below 1
            that share of its rows, rounded up.
        repeat: with a `size`, how often one row may be taken, for sources that have fewer rows than their
            share. Without one, no row is taken twice.
        weights: factors by source, kind and task.
        caps: most rows by source and by kind.
        tasks: name of the task of each kind; a kind that is not named is a task of its own.
        ignore: reasons that are not obeyed, as the marks name them.
        negatives: hard negatives of a row at most: those that were mined, or where a pair has none such those
            that it came with; None for all.
        columns: `yuyi` for the columns of a pair; `sentence-transformers` for `anchor`, `positive`,
            `negative_1` and so on, where rows with a label or with too few negatives are left out.
        format: of the training set.
        seed: of the draw and the order.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    size: PositiveInt | None = None
    repeat: PositiveInt = 1
    weights: Weights = field(default_factory=Weights)
    caps: Caps = field(default_factory=Caps)
    tasks: dict[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    negatives: NonNegativeInt | None = None
    columns: Literal["yuyi", "sentence-transformers"] = "yuyi"
    format: Literal["parquet", "jsonl"] = "parquet"
    seed: NonNegativeInt = 0


def mix(
    folder: DataFolder,
    config: MixtureConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of the step `mixture`, which holds `train.parquet` (or `.jsonl`) and `manifest.json`.

    Its counts: `rows` of the training set; by source and kind `made`, `kept` and `taken`; by source and
    reason `marked`, where a pair with several reasons counts under each, obeyed or not, so that these may be
    more than the pairs that were dropped.

    Args:
        folder: holds finished `pairs`, and marks and negatives if there are any.
        config: what is taken.
        workers: processes; None for one a core. They change the speed alone.
        on_done: called with numbers of rows that were read and written.

    Raises:
        InputError: a step is missing or out of date, a reason, source, kind or task of `config` does not
            occur, nothing is left to take, fewer than `size` rows are left, or a file cannot be read or
            written.
        RecipeError: the columns of sentence-transformers without a number of negatives.
    """
    require("parquet")
    _check_columns(config, mined=folder.record("negatives") is not None)
    inputs = _inputs(folder, config.negatives)
    return run_step(
        folder.path / "mixture",
        lambda place: _make(folder, config, inputs, place),
        settings=config,
        inputs=inputs,
        code=_CODE,
        workers=workers,
        on_done=on_done,
    )


def current_mixture(folder: DataFolder) -> StepRecord:
    """The record of the training set.

    Raises:
        InputError: there is none, or pairs, marks or negatives are others than those that it was made from.
    """
    record = folder.need("mixture")
    now = _inputs(folder, record.settings.get("negatives"))
    other = [name for name in sorted(now.keys() | record.inputs) if now.get(name) != record.inputs.get(name)]
    if other:
        raise InputError(
            f"{folder.path / 'mixture'}: was made from other {' and '.join(other)} than are there now. "
            f"Run again: yuyi data mix {shlex.quote(str(folder.path))}"
        )
    return record


def _check_columns(config: MixtureConfig, *, mined: bool) -> None:
    """Refuse the columns of sentence-transformers where nobody says how many negatives there are."""
    if config.columns == "sentence-transformers" and config.negatives is None and mined:
        raise RecipeError(
            "mix.negatives: null, but the columns of sentence-transformers need a number. Set it, say, to 1."
        )


def _inputs(folder: DataFolder, negatives: int | None) -> dict[str, str]:
    """The digest of every step that is read, by its name."""
    inputs = {"pairs": folder.need("pairs").digest, **Reasons(folder).digests()}
    if folder.record("documents") is not None:
        inputs["documents"] = folder.need("documents").digest
    if negatives != 0 and folder.record("negatives") is not None:
        inputs["negatives"] = current_negatives(folder).digest
    return inputs


def _make(folder: DataFolder, config: MixtureConfig, inputs: Mapping[str, str], place: Workplace) -> Counts:
    """Write the training set and its manifest, and count what was taken."""
    jobs = {part: _Job(folder, config) for part in folder.parts("pairs")}
    counts = place.each({f"{part}.free": job for part, job in jobs.items()}, _find_free, scratch=True)
    _check_columns(config, mined=bool(counts.pop("own_negatives", 0)))
    _check_names(config, counts)
    place.once("drawn.npz", lambda path: draw(place.scratch, list(jobs), config, counts, path))
    place.each({f"{part}.drawn": job for part, job in jobs.items()}, _write_drawn, scratch=True)
    taken = json.loads((place.scratch / "drawn.npz.taken.json").read_text("utf-8"))
    rows = sum(sum(kinds.values()) for kinds in taken.values())
    path = place.folder / f"train.{config.format}"
    write = write_parquet if config.format == "parquet" else write_jsonl
    with publish_file(path) as temporary:
        write(temporary, _shuffled(place.scratch, list(jobs), rows), place.on_done)
    total = {"rows": rows, **{key: counts.get(key, {}) for key in ("made", "kept", "marked")}, "taken": taken}
    manifest = manifest_of(folder, config, inputs, total, path, hash_file(path))
    with publish_file(place.folder / "manifest.json") as temporary:
        temporary.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return total


@dataclass(frozen=True, slots=True)
class _Job:
    folder: DataFolder
    config: MixtureConfig


def _find_free(name: str, job: _Job, scratch: Path) -> Counts:
    """Write the rows of a part that may be taken and their groups, and count everything by source."""
    part = name.removesuffix(".free")
    sources, kinds, labelled = _columns(job.folder.path / "pairs" / f"{part}.parquet")
    groups = [f"{source}\t{kind}" for source, kind in zip(sources, kinds, strict=True)]
    names, codes = (
        np.unique(np.array(groups, dtype=object), return_inverse=True) if groups else ([], np.array([]))
    )
    marks = Reasons(job.folder).of_part(part)
    seen: dict[str, dict[str, int]] = {}
    for code, reason in enumerate(marks.names):
        rows = np.unique(marks.rows[marks.codes == code])
        for source, count in Counter(sources[row] for row in rows).items():
            add_counts(seen, {source: {reason: count}})
    obeyed = marks.without(frozenset(job.config.ignore))
    free = np.ones(len(groups), bool)
    free[obeyed.rows] = False
    own = 0
    if job.config.columns == "sentence-transformers":
        own = int(np.count_nonzero(own_negatives(job.folder, part)))
        for reason, unfit in _unfit(job, part, labelled).items():
            for source, count in Counter(sources[row] for row in np.flatnonzero(unfit & free)).items():
                seen.setdefault(source, {})[reason] = count
            free &= ~unfit
    arrays = {"names": np.array(names, dtype=np.str_), "codes": codes[free], "rows": np.flatnonzero(free)}
    with publish_file(scratch / f"{name}.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return {
        "rows": len(groups),
        "made": by_source(Counter(groups)),
        "kept": by_source(Counter(np.array(groups, dtype=object)[free].tolist())),
        "marked": seen,
        "own_negatives": own,
    }


def _columns(path: Path) -> tuple[list[str], list[str], NDArray[np.bool_]]:
    """Source and kind of each pair of a part, and whether it has a label."""
    sources: list[str] = []
    kinds: list[str] = []
    labelled = [np.zeros(0, bool)]
    for batch in read_batches(path, ("source", "kind", "label")):
        sources += batch.column("source").to_pylist()
        kinds += batch.column("kind").to_pylist()
        labelled.append(batch.column("label").is_valid().to_numpy(zero_copy_only=False))
    return sources, kinds, np.concatenate(labelled)


def _unfit(job: _Job, part: str, labelled: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """What cannot be a row of anchor, positive and a number of negatives, by reason."""
    found = {"has a label": labelled}
    if job.config.negatives:
        number = own_negatives(job.folder, part)
        mined = negatives_by_row(job.folder, part, job.config.negatives)
        number[list(mined)] = [len(texts) for texts in mined.values()]
        found["too few negatives"] = number < job.config.negatives
    return found


def _check_names(config: MixtureConfig, counts: Counts) -> None:
    """Refuse names that do not occur, and a set of which nothing is left."""
    made, kept = counts.get("made", {}), counts.get("kept", {})
    marked: Counter[str] = Counter()
    for by_reason in counts.get("marked", {}).values():
        marked.update(by_reason)
    kinds = {kind for by_kind in made.values() for kind in by_kind}
    tasks = {config.tasks.get(kind, kind) for kind in kinds}
    named: tuple[tuple[str, Collection[str], set[str]], ...] = (
        ("ignore", config.ignore, set(marked)),
        ("tasks", config.tasks, kinds),
        ("weights.sources", config.weights.sources, set(made)),
        ("weights.kinds", config.weights.kinds, kinds),
        ("weights.tasks", config.weights.tasks, tasks),
        ("caps.sources", config.caps.sources, set(made)),
        ("caps.kinds", config.caps.kinds, kinds),
    )
    for key, given, known in named:
        for name in given:
            if name not in known:
                there = ", ".join(sorted(known)) or "none"
                raise InputError(f"mix.{key}: {name!r} does not occur in these pairs. There are: {there}.")
    if not any(kept.values()):
        rows = sum(sum(by_kind.values()) for by_kind in made.values())
        why = ", ".join(f"{reason} ({count:,})" for reason, count in marked.most_common())
        raise InputError(
            f"mix: none of {rows:,} pairs is left. "
            + (
                f"Dropped: {why}. Mend the settings of these steps, or name reasons in mix.ignore."
                if why
                else "Add sources, or switch more rules on."
            )
        )


def _write_drawn(name: str, job: _Job, scratch: Path) -> Counts:
    """Write the drawn rows of a part, sorted by the key of their order."""
    import pyarrow.parquet as pq

    part = name.removesuffix(".drawn")
    with np.load(scratch / "drawn.npz") as drawn:
        rows, order = drawn[f"{part}.rows"], drawn[f"{part}.order"]
    sort = np.argsort(order, kind="stable")
    if len(sort):
        config = job.config
        table = drawn_table(job.folder, part, rows[sort], config.negatives, config.columns)
        table = table.append_column("order", [order[sort]])
        with publish_file(scratch / f"{name}.parquet") as temporary:
            pq.write_table(table, temporary, compression="lz4", row_group_size=_GROUP)
    return {"rows": len(sort)}


def _shuffled(scratch: Path, parts: list[str], rows: int) -> Iterator[Any]:
    """The drawn rows of all parts in their order, a stretch at a time, as pyarrow tables."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = [file for part in parts if (file := scratch / f"{part}.drawn.parquet").exists()]
    stretches = max(1, -(-rows // _STRETCH))
    for number in range(stretches):
        low, high = number / stretches, (number + 1) / stretches
        within = [("order", ">=", low), ("order", "<", high)]
        table = pa.concat_tables(pq.read_table(file, filters=within) for file in files)
        yield table.sort_by("order").drop_columns("order")
