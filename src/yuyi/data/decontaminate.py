"""Marks on pairs that show a text of an evaluation set, and the files that evaluation sets come in."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, PositiveInt

from yuyi.artifacts import hash_file, hash_json
from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.marking.evaluation_texts import EvaluationTexts
from yuyi.data.mining.dense import open_encoder
from yuyi.data.readers.tables import TableKind, table_columns
from yuyi.data.step import run_step
from yuyi.errors import InputError
from yuyi.records import Mark, read_pairs, read_rows, write_marks
from yuyi.text.rows import read_fields, read_objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yuyi.data.folder import DataFolder
    from yuyi.data.step import Counts, StepRecord, Workplace
    from yuyi.progress import Done

_CODE = ("data/decontaminate.py", "data/marking/evaluation_texts.py", "data/marking/minhash.py")
_BATCH = 2_000
_TEXT_COLUMNS = ("sentence1", "sentence2", "text", "query", "passage", "text_a", "text_b")
_KINDS: dict[str, TableKind] = {".parquet": "parquet", ".jsonl": "jsonl", ".csv": "csv", ".tsv": "csv"}
# A retrieval set is three tables: NAME.queries, NAME.corpus, and NAME.qrels, which holds no text.
_QUERIES, _CORPUS, _JUDGMENTS = ".queries", ".corpus", ".qrels"

Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecontaminateConfig:
    """Which texts training must not see, and what counts as seeing them.

    Attributes:
        evaluation: files, or folders of files, of evaluation sets: Parquet, JSONL, CSV or TSV. Texts are in
            the columns sentence1, sentence2, text, query, passage, text_a and text_b; files `*.qrels.*` hold
            none.
        corpus: whether the passages of retrieval sets (`*.corpus.*`) count, and not the queries alone.
            Without its query a passage gives little away, but a set that holds it is not free of the test.
        near: Jaccard similarity of character trigrams, 0 to 1, from which on a text counts; null to leave
            this out.
        words: words in a row, a word being two Chinese characters or five letters, from which on a common
            stretch counts; null to leave this out.
        similarity: cosine from which on a text counts, encoded by `encoder`; null to leave this out. Off
            by default: what is about the same is not the same.
        encoder: name or folder of the model for `similarity`; empty for the embedded one.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    evaluation: Annotated[tuple[str, ...], Field(min_length=1)]
    corpus: bool = True
    near: Annotated[float, Field(gt=0, lt=1)] | None = 0.6
    words: PositiveInt | None = 13
    similarity: Share | None = None
    encoder: str = ""


def decontaminate(
    folder: DataFolder,
    config: DecontaminateConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of `marks/evaluation`, which marks pairs of which either side shows an evaluation text.

    A mark's note is the name of the evaluation set. Its value is the overlap, as
    `evaluation_texts.Match` has it.

    Raises:
        InputError: no pairs were made; there is no evaluation file; or one is damaged or holds no text.
        ModelError: the encoder cannot be opened.
    """
    pairs = folder.need("pairs")
    files = evaluation_files(config.evaluation, corpus=config.corpus)
    for file in files:
        _columns(file)
    digest = hash_json([[file.name, hash_file(file)] for file in files])
    inputs = {"pairs": pairs.digest, "evaluation": digest}
    if config.similarity:
        inputs["encoder"] = open_encoder(config.encoder).fingerprint
    jobs = {name: (path, config, digest) for name, path in folder.parts("pairs").items()}

    def make(place: Workplace) -> Counts:
        return place.each(jobs, _mark_part)

    return run_step(
        folder.path / "marks/evaluation",
        make,
        settings={**asdict(config), "evaluation": [str(path) for path in config.evaluation]},
        inputs=inputs,
        code=_CODE,
        workers=workers,
        on_done=on_done,
    )


def evaluation_files(places: tuple[str, ...], *, corpus: bool = True) -> list[Path]:
    """The files that hold texts, in order: those named, and those of the folders named.

    Raises:
        InputError: a place does not exist, is of no known kind, or holds no such files.
    """
    found: list[Path] = []
    for place in map(Path, places):
        if not place.exists():
            raise InputError(f"{place}: no such file or folder of evaluation sets. Check the path.")
        inside = sorted(place.iterdir()) if place.is_dir() else [place]
        files = [file for file in inside if file.suffix.lower() in _KINDS and file.is_file()]
        files = [file for file in files if not file.stem.endswith(_JUDGMENTS)]
        if not files:
            raise InputError(
                f"{place}: holds no evaluation files ({', '.join('*' + kind for kind in _KINDS)}). "
                "Name a file or a folder that does."
            )
        found += [file for file in files if corpus or not file.stem.endswith(_CORPUS)]
    return found


def read_evaluation(file: Path) -> Iterator[tuple[str, str]]:
    """The name of an evaluation set and each of its texts.

    Raises:
        InputError: the file is damaged, or none of its columns holds texts.
    """
    columns, name = _columns(file), file.stem.removesuffix(_QUERIES).removesuffix(_CORPUS)
    for row in _rows(file, columns):
        for column in columns:
            text = row.get(column)
            if isinstance(text, str):
                yield name, text


def _columns(file: Path) -> list[str]:
    names = table_columns(file, _KINDS[file.suffix.lower()])
    columns = [name for name in _TEXT_COLUMNS if name in names]
    if not columns:
        raise InputError(
            f"{file}: has no column of texts ({', '.join(_TEXT_COLUMNS)}); it has "
            f"{', '.join(names) or 'none'}. Rename the one that holds them, or move the file away."
        )
    return columns


def _rows(file: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    match _KINDS[file.suffix.lower()]:
        case "parquet":
            yield from read_rows(file, columns)
        case "jsonl":
            yield from (row for _, row in read_objects(file))
        case _:
            rows = read_fields(file, "\t" if file.suffix.lower() == ".tsv" else ",")
            _, names = next(rows)
            yield from (dict(zip(names, fields, strict=True)) for _, fields in rows)


@lru_cache(maxsize=1)
def _open_texts(config: DecontaminateConfig, digest: str) -> EvaluationTexts:
    """The evaluation texts of files with that digest, kept for the parts that this process does."""
    files = evaluation_files(config.evaluation, corpus=config.corpus)
    return EvaluationTexts(
        (text for file in files for text in read_evaluation(file)),
        near=config.near,
        words=config.words,
        similarity=config.similarity,
        encoder=open_encoder(config.encoder) if config.similarity else None,
    )


def _mark_part(name: str, job: tuple[Path, DecontaminateConfig, str], folder: Path) -> Counts:
    path, config, digest = job
    texts = _open_texts(config, digest)
    marks: list[Mark] = []
    marked: dict[str, Counter[str]] = {}
    rows, pairs = 0, read_pairs(path)
    while some := list(islice(pairs, _BATCH)):
        for row, (pair, match) in enumerate(zip(some, texts.matches(some), strict=True), rows):
            if match:
                marks.append(Mark(row, pair.pair_id, match.reason, match.value, match.name))
                marked.setdefault(pair.source, Counter())[match.reason] += 1
        rows += len(some)
    write_marks(folder / f"{name}.parquet", marks)
    return {"rows": rows, "marked": {source: dict(reasons) for source, reasons in marked.items()}}
