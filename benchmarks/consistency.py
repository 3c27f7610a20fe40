"""How long the consistency filter takes, everything included, and what it needs of memory.

    python benchmarks/consistency.py                          # a million pairs of our documents
    python benchmarks/consistency.py --pairs 100000 --documents MY_FOLDER

A pair is the first 40 characters of a stretch of 240 characters, and the rest of it; all are one source, so
the pool is as large as it gets. Wall time counts where nothing else runs; processor time is nearly the same
on a busy machine. Starts in a new folder each time.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.data.consistency import ConsistencyConfig, filter_by_consistency
from yuyi.data.folder import DataFolder
from yuyi.data.step import Counts, Workplace, run_step
from yuyi.records import Pair, read_rows, write_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTS = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "train" / "documents"
STRETCH, QUERY, PART = 240, 40, 50_000


def main() -> None:
    """Make the pairs, filter them, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--documents", type=Path, default=DOCUMENTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as path:
        folder = make_folder(Path(path), islice(pairs_of(options.documents), options.pairs))
        spent, begin = processor_time(), time.perf_counter()
        record = filter_by_consistency(folder, ConsistencyConfig())
        print_figures(record.counts["rows"], "pairs", begin, spent)
        marked = sum(reasons["inconsistent"] for reasons in record.counts["marked"].values())
        print(f"inconsistent: {marked / record.counts['rows']:.1%}")


def pairs_of(documents: Path) -> Iterator[Pair]:
    """Stretches of documents, each cut in two; again from a later character when all are used."""
    number = 0
    for offset in range(0, STRETCH, QUERY):
        for file in sorted(documents.glob("*.parquet")):
            for row in read_rows(file, ["doc_id", "text", "lang"]):
                text = row["text"]
                for start in range(offset, len(text) - STRETCH, STRETCH):
                    stretch = text[start : start + STRETCH]
                    yield Pair(
                        "stretches", "first_rest", stretch[:QUERY], stretch[QUERY:], None, row["lang"],
                        doc_id=row["doc_id"], pair_id=f"{number:016x}",
                    )  # fmt: skip
                    number += 1


def make_folder(path: Path, pairs: Iterator[Pair]) -> DataFolder:
    """A data folder that holds these pairs."""

    def make(place: Workplace) -> Counts:
        rows = 0
        for part in count():
            written = write_pairs(place.folder / f"0000-{part:04d}.parquet", islice(pairs, PART))
            rows += written
            if written < PART:
                break
        return {"rows": rows}

    if not run_step(path / "pairs", make, settings={}, inputs={}, code=()).counts["rows"]:
        raise SystemExit("No documents to make pairs of. Name a folder of them with --documents.")
    return DataFolder(path)


def processor_time() -> float:
    """Seconds of processor time that this process and its finished children have taken."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def print_figures(rows: int, what: str, begin: float, spent: float) -> None:
    """Print wall time, processor time and peak memory since `begin` and `spent`."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(
        f"{rows:,} {what}: {time.perf_counter() - begin:.0f} s, of processor time "
        f"{processor_time() - spent:.0f} s, peak memory {peak / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
