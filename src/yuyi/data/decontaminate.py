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

_CODE = (
    *(
        "data/decontaminate.py",
        "data/marking/evaluation_texts.py",
        "data/marking/minhash.py",
        "data/clean.py",
    ),
    *("data/mining/dense.py", "data/readers/tables.py", "text/rows.py"),
)
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
        evaluation: files of evaluation sets, or folders of them at any depth: Parquet, JSONL, CSV or TSV.
            Texts, or lists of texts, are in the columns sentence1, sentence2, text, query, passage, text_a
            and text_b; files `*.qrels.*` hold none.
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
    `evaluation_texts.Match` has it. The counts hold the number of texts of each set as `evaluation`.

    Raises:
        InputError: no pairs were made; there is no evaluation file; one is damaged; or a set holds no text.
        ModelError: the encoder cannot be opened.
    """
    pairs = folder.need("pairs")
    files = evaluation_files(config.evaluation)
    for file in files:
        if not _is_left_out(file, config.corpus):
            _columns(file)
    digest = hash_json([[name, file.name, hash_file(file)] for file, name in files.items()])
    inputs = {"pairs": pairs.digest, "evaluation": digest}
    if config.similarity:
        inputs["encoder"] = open_encoder(config.encoder).fingerprint
    jobs = {name: (path, config, digest) for name, path in folder.parts("pairs").items()}

    def make(place: Workplace) -> Counts:
        texts = _count_texts(files, corpus=config.corpus)
        return {**place.each(jobs, _mark_part), "evaluation": texts}

    return run_step(
        folder.path / "marks/evaluation",
        make,
        settings={**asdict(config), "evaluation": [str(path) for path in config.evaluation]},
        inputs=inputs,
        code=_CODE,
        workers=workers,
        on_done=on_done,
    )


def evaluation_files(places: tuple[str, ...]) -> dict[Path, str]:
    """The name of the evaluation set of each file, in order: of those named, and those of the folders named.

    A set is called what its file is, after the folders within the one that was named. Hidden files and
    folders are left out.

    Raises:
        InputError: a place does not exist, is of no known kind, or holds no such files.
    """
    found: dict[Path, str] = {}
    for place in map(Path, places):
        if not place.exists():
            raise InputError(f"{place}: no such file or folder of evaluation sets. Check the path.")
        inside = {file: file.relative_to(place) for file in sorted(place.rglob("*"))}
        files = {
            file: _set_of(name)
            for file, name in (inside if place.is_dir() else {place: Path(place.name)}).items()
            if file.suffix.lower() in _KINDS
            and file.is_file()
            and not (place.is_dir() and any(part.startswith(".") for part in name.parts))
        }
        if not files:
            raise InputError(
                f"{place}: holds no evaluation files ({', '.join('*' + kind for kind in _KINDS)}). "
                "Name a file or a folder that does."
            )
        found |= files
    return found


def _set_of(file: Path) -> str:
    name = file.with_suffix("").as_posix()
    return next(
        (name.removesuffix(end) for end in (_QUERIES, _CORPUS, _JUDGMENTS) if name.endswith(end)), name
    )


def read_evaluation(file: Path, *, corpus: bool = True) -> Iterator[str]:
    """Each text of an evaluation file; none of one that holds none, or passages that are not wanted.

    Args:
        file: one of `evaluation_files`.
        corpus: whether the passages of retrieval sets are wanted.

    Raises:
        InputError: the file is damaged, or none of its columns holds texts.
    """
    if _is_left_out(file, corpus):
        return
    columns = _columns(file)
    for row in _rows(file, columns):
        for cell in map(row.get, columns):
            for text in cell if isinstance(cell, list) else [cell]:
                if isinstance(text, str) and text.strip():
                    yield text


def _is_left_out(file: Path, corpus: bool) -> bool:
    return file.stem.endswith(_JUDGMENTS) or (not corpus and file.stem.endswith(_CORPUS))


def _count_texts(files: dict[Path, str], *, corpus: bool) -> dict[str, int]:
    """How many texts each set holds.

    Raises:
        InputError: a set holds none, so that nothing would be kept free of it.
    """
    counts = dict.fromkeys(files.values(), 0)
    for file, name in files.items():
        counts[name] += sum(1 for _ in read_evaluation(file, corpus=corpus))
    for file, name in files.items():
        if not counts[name]:
            raise InputError(
                f"{file}: no text of the evaluation set {name} is read, so no pair would be marked. "
                "Add its queries, set corpus to true, or move the set away."
            )
    return counts


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
    return EvaluationTexts(
        (
            (name, text)
            for file, name in evaluation_files(config.evaluation).items()
            for text in read_evaluation(file, corpus=config.corpus)
        ),
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
