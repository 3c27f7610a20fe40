"""Small data folders, written by the functions that write real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from yuyi.data.blocks import CleanBlock, write_blocks
from yuyi.data.folder import DataFolder
from yuyi.data.negatives import Negative, Negatives
from yuyi.data.reasons import Reasons
from yuyi.data.step import run_step
from yuyi.records import Document, Mark, Pair, write_documents, write_marks, write_pairs, write_records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any


def document(source: str, doc_id: str, text: str, lang: str = "zh", title: str = "") -> Document:
    return Document(source, doc_id, title, text, lang)


def pair(source: str, kind: str, number: int, *, lang: str = "zh", **values: Any) -> Pair:
    """A pair whose texts and id tell its number."""
    ask, answer = ("怎么安装", "先下载，再运行") if lang == "zh" else ("how to install", "download, then run")
    return Pair(
        source,
        kind,
        values.pop("text_a", f"{ask} {source} {kind} {number}"),
        values.pop("text_b", f"{answer} {source} {kind} {number}"),
        values.pop("label", None),
        lang,
        pair_id=f"{crc32((source + kind).encode()):08x}{number:08x}",
        tokens_a=values.pop("tokens_a", 5 + number % 7),
        tokens_b=values.pop("tokens_b", 12 + number % 90),
        **values,
    )


def data_folder(
    path: Path,
    pairs: Mapping[str, Sequence[Pair]],
    documents: Mapping[str, Sequence[Document]] | None = None,
    blocks: Mapping[str, Sequence[CleanBlock]] | None = None,
    settings: Any = None,
    collections: Any = None,
) -> DataFolder:
    """A folder with these parts; counts are those that the real steps keep."""
    folder = DataFolder(path)
    documents = documents or {}
    counted: dict[str, int] = {}
    for each in (one for part in documents.values() for one in part):
        counted[each.source] = counted.get(each.source, 0) + 1
    step(
        folder,
        "documents",
        {},
        {
            f"{part}.parquet": lambda file, rows=rows: write_documents(file, rows)
            for part, rows in documents.items()
        },
        settings=settings or {},
        counts={
            "rows": sum(counted.values()),
            "documents": counted,
            **({"collections": collections} if collections else {}),
        },
    )
    if blocks is not None:
        step(
            folder,
            "blocks",
            {"documents": folder.need("documents").digest},
            {
                f"{part}.parquet": lambda file, rows=rows: write_blocks(file, rows)
                for part, rows in blocks.items()
            },
        )
    made: dict[str, dict[str, int]] = {}
    for one in (one for part in pairs.values() for one in part):
        kinds = made.setdefault(one.source, {})
        kinds[one.kind] = kinds.get(one.kind, 0) + 1
    step(
        folder,
        "pairs",
        {"documents": folder.need("documents").digest},
        {f"{part}.parquet": lambda file, rows=rows: write_pairs(file, rows) for part, rows in pairs.items()},
        counts={"rows": sum(len(rows) for rows in pairs.values()), "pairs": made},
    )
    return folder


def mark(folder: DataFolder, name: str, marks: Mapping[str, Sequence[Mark]], on: str = "pairs") -> None:
    step(
        folder,
        f"marks/{name}",
        {on: folder.need(on).digest},
        {f"{part}.parquet": lambda file, rows=rows: write_marks(file, rows) for part, rows in marks.items()},
        settings={"marks": {part: [one.reason for one in rows] for part, rows in marks.items()}},
    )


def negatives(folder: DataFolder, rows: Mapping[str, Sequence[tuple[int, str]]]) -> None:
    def write(file: Path, some: Sequence[tuple[int, str]]) -> None:
        texts: dict[int, list[str]] = {}
        for row, text in some:
            texts.setdefault(row, []).append(text)
        rows = (
            Negatives(row, "", 0.9, tuple(Negative("", text, 0.5, 1, 1) for text in each))
            for row, each in texts.items()
        )
        write_records(file, rows, Negatives)

    step(
        folder,
        "negatives",
        {"pairs": folder.need("pairs").digest, **Reasons(folder).digests()},
        {f"{part}.parquet": lambda file, some=some: write(file, some) for part, some in rows.items()},
    )


def step(
    folder: DataFolder,
    name: str,
    inputs: Mapping[str, str],
    files: Mapping[str, Callable[[Path], object]],
    settings: Any = None,
    counts: Any = None,
) -> None:
    def make(place: Any) -> Any:
        for file, write in files.items():
            write(place.folder / file)
        return counts or {}

    run_step(folder.path / name, make, settings=settings or {}, inputs=inputs, code=())
