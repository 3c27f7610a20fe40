"""All that training reads: documents and ready pairs in, one Parquet of pairs and a report of it out."""

from __future__ import annotations

import functools
import json
import os
import signal
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.artifacts import publish_file
from yuyi.data.clean import clean
from yuyi.data.decontaminate import EvaluationTexts
from yuyi.data.dedupe import Seen
from yuyi.data.pairs import RULES, check_rules, pairs_from_sections, sections, what_recurs
from yuyi.data.sources import documents_from
from yuyi.errors import InputError
from yuyi.records import read_pairs, write_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from yuyi.records import Pair

_BATCH = 20_000

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the input.

    Attributes:
        rows: number of pairs written.
        kept: pairs written, by source and kind.
        dropped: pairs left out, by source and reason.
        rules: the rules that made pairs of documents.
        inputs: names of the inputs, in order.
        evaluation: name of the evaluation folder, or None where nothing was compared with one.
    """

    rows: int
    kept: Counts
    dropped: Counts
    rules: tuple[str, ...]
    inputs: tuple[str, ...]
    evaluation: str | None


@dataclass(frozen=True, slots=True)
class _Job:
    """One input, and where its pairs go until all are together."""

    path: Path
    is_pairs: bool
    rules: tuple[str, ...]
    evaluation: Path | None
    part: Path


def prepare(
    documents: Sequence[Path],
    pair_files: Sequence[Path],
    output: Path,
    *,
    rules: Sequence[str] = tuple(RULES),
    evaluation: Path | None = None,
    workers: int | None = None,
    on_done: Callable[[int], None] = lambda rows: None,
) -> Report:
    """What was kept and dropped, once `output` holds the pairs and the `.report.json` beside it this report.

    The order of the rows follows the order of the inputs, whatever the number of processes.

    Args:
        documents: Parquet files of documents, text files, or folders of either.
        pair_files: Parquet files of pairs, passed on cleaned.
        output: the Parquet file to write.
        rules: which rules make pairs of documents.
        evaluation: folder of evaluation files whose texts must not be trained on.
        workers: processes; None for one a core.
        on_done: called with the number of pairs of each input when they are ready.

    Raises:
        InputError: an input is missing or damaged, a rule unknown, or the output cannot be written.
        MissingExtra: a package of the `data` extra is not installed.
    """
    check_rules(rules)
    if not documents and not pair_files:
        raise InputError("no documents and no pairs to prepare. Name at least one file or folder.")
    if evaluation is not None:
        EvaluationTexts.files(evaluation)
    dropped: Counter[tuple[str, str]] = Counter()
    kept: Counter[tuple[str, str]] = Counter()
    with _workplace(output) as folder:
        jobs = [
            _Job(path, number >= len(documents), tuple(rules), evaluation, Path(folder) / f"{number}.parquet")
            for number, path in enumerate((*documents, *pair_files))
        ]
        for counts in _run_all(jobs, workers or os.cpu_count() or 1, on_done):
            dropped.update(counts)
        rows = write_pairs(output, _together(jobs, kept, dropped))
    report = Report(
        rows=rows,
        kept=_nested(kept),
        dropped=_nested(dropped),
        rules=tuple(rules),
        inputs=tuple(job.path.name for job in jobs),
        evaluation=evaluation.name if evaluation else None,
    )
    with publish_file(output.with_suffix(".report.json")) as temporary:
        temporary.write_text(json.dumps(asdict(report), ensure_ascii=False, indent=1) + "\n", "utf-8")
    return report


def _workplace(output: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.")
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written ({error.strerror or error}). Choose another place or make room."
        ) from error


def _run_all(
    jobs: Sequence[_Job], workers: int, on_done: Callable[[int], None]
) -> Iterator[Counter[tuple[str, str]]]:
    """The dropped counts of each job, in any order."""
    if min(workers, len(jobs)) == 1:
        for rows, dropped in map(_run, jobs):
            on_done(rows)
            yield dropped
        return
    # Spawned, because a forked copy of a process with threads (numpy, pyarrow) can hang; and with the plain
    # answer to Ctrl-C, so that it ends them at once and without a traceback each.
    with ProcessPoolExecutor(
        min(workers, len(jobs)),
        mp_context=get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),
    ) as pool:
        # The largest first, so that none is left alone at the end.
        largest_first = sorted(jobs, key=lambda job: _size(job.path), reverse=True)
        running = [pool.submit(_run, job) for job in largest_first]
        try:
            for future in as_completed(running):
                rows, dropped = future.result()
                on_done(rows)
                yield dropped
        finally:
            # After an error what has begun still ends, and what has not never begins.
            pool.shutdown(cancel_futures=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 1 << 40


def _run(job: _Job) -> tuple[int, Counter[tuple[str, str]]]:
    """Number of pairs in `job.part`, and of those that were dropped, by source and reason."""
    dropped: Counter[tuple[str, str]] = Counter()
    pairs = _ready_pairs(job.path, dropped) if job.is_pairs else _pairs_of_documents(job)
    if job.evaluation is not None:
        pairs = _unseen(pairs, _evaluation_texts(job.evaluation), dropped)
    return write_pairs(job.part, pairs), dropped


@functools.cache
def _evaluation_texts(folder: Path) -> EvaluationTexts:
    return EvaluationTexts.from_folder(folder)


def _pairs_of_documents(job: _Job) -> Iterator[Pair]:
    found = [(document, sections(document)) for document in documents_from(job.path)]
    recurring = what_recurs(document for _, document in found)
    for document, its_sections in found:
        yield from pairs_from_sections(document, its_sections, job.rules, recurring)


def _ready_pairs(path: Path, dropped: Counter[tuple[str, str]]) -> Iterator[Pair]:
    for pair in read_pairs(path):
        cleaned = replace(pair, text_a=clean(pair.text_a or ""), text_b=clean(pair.text_b or ""))
        if cleaned.text_a and (cleaned.text_b or pair.kind == "classification"):
            yield cleaned
        else:
            dropped[pair.source, "empty"] += 1


def _unseen(
    pairs: Iterator[Pair], texts: EvaluationTexts, dropped: Counter[tuple[str, str]]
) -> Iterator[Pair]:
    while batch := list(islice(pairs, _BATCH)):
        for pair, reason in zip(batch, texts.reasons(batch), strict=True):
            if reason is None:
                yield pair
            else:
                dropped[pair.source, reason] += 1


def _together(
    jobs: Sequence[_Job], kept: Counter[tuple[str, str]], dropped: Counter[tuple[str, str]]
) -> Iterator[Pair]:
    seen = Seen()
    for job in jobs:
        for pair in read_pairs(job.part):
            if seen.is_new(pair):
                kept[pair.source, pair.kind] += 1
                yield pair
            else:
                dropped[pair.source, "duplicate"] += 1


def _nested(counts: Counter[tuple[str, str]]) -> Counts:
    nested: Counts = {}
    for (source, name), count in sorted(counts.items()):
        nested.setdefault(source, {})[name] = count
    return nested
