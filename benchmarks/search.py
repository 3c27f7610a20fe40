"""How long `yuyi search` takes on 20 MB of documents: the first time, again, and after one file has changed.

    python benchmarks/search.py DOCUMENTS.parquet... [--model FOLDER]

Documents are written out as .md files, the same number from each Parquet file, until 20 MB are full. Every
figure is a whole process with Python's start and the loading of the model in it; files are in the page cache.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import chain, zip_longest
from pathlib import Path

from yuyi.records import read_documents

BYTES = 20_000_000
ROUNDS = 10


def write_documents(sources: list[Path], folder: Path) -> int:
    """Number of .md files written, a document from each source in turn."""
    total = number = 0
    for document in chain.from_iterable(zip_longest(*map(read_documents, sources))):
        if document is None:
            continue
        data = document.text.encode()
        place = folder / document.source / f"{document.lang}-{number:05d}.md"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
        total, number = total + len(data), number + 1
        if total >= BYTES:
            break
    return number


def seconds(command: list[str], cache: Path) -> float:
    """Wall time of a command in a process of its own."""
    begin = time.perf_counter()
    environment = {**os.environ, "YUYI_CACHE": str(cache)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - begin


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--model")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place, "documents"), Path(place, "cache")
        folder.mkdir()
        files = write_documents(given.sources, folder)
        command = [sys.executable, "-m", "yuyi", "search", "怎样安装 docker", str(folder)]
        command += ["--model", given.model] if given.model else []
        first = seconds(command, cache)
        again = statistics.median(seconds(command, cache) for _ in range(ROUNDS))
        changed = []
        for number, path in enumerate(sorted(folder.rglob("*.md"))[:: files // ROUNDS][:ROUNDS]):
            path.write_text(f"# Docker {number}\n\n怎样安装 docker？\n", encoding="utf-8")
            changed.append(seconds(command, cache))
    print(f"| search of {files:,} files, {BYTES / 1e6:.0f} MB | seconds | limit |\n|---|---|---|")
    print(f"| the first time | {first:.2f} | |")
    print(f"| again (median of {ROUNDS}) | {again:.3f} | 0.50 |")
    print(f"| after one file changed (median of {ROUNDS}) | {statistics.median(changed):.3f} | |")


if __name__ == "__main__":
    main()
