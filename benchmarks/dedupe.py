"""How fast duplicates are found, in how much memory, and how many of those that were planted.

    python benchmarks/dedupe.py                   # a million pairs, 2 processes
    python benchmarks/dedupe.py --pairs 50000

The pairs are made of words drawn by Zipf's law, half of them English and half Chinese, two sides together
about 300 characters. One pair in a hundred is an earlier pair, edited character by character until the exact
Jaccard similarity of both sides together, counted here with Python's sets, lies between 0.8 and 0.85; one
more in a hundred until it lies between 0.7 and 0.8, which is none. Recall is the share of the former that is
marked, false the number of other pairs that are marked. The memory is that of all processes together.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from yuyi.data.clean import clean, match_key
from yuyi.data.dedupe import DedupeConfig, dedupe_pairs
from yuyi.data.folder import DataFolder
from yuyi.data.step import run_step
from yuyi.records import Pair, read_marks, write_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yuyi.data.step import Counts, Workplace

SEED = 11
PART = 50_000
# Planted in each hundred rows: row within the hundred, lowest and highest similarity.
PLANTED = {40: (0.8, 0.85), 80: (0.7, 0.8)}


def main() -> None:
    """Make the pairs, mark their duplicates in a process of its own, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.workers)
        return
    with tempfile.TemporaryDirectory() as place:
        make(Path(place), options.pairs, options.workers)
        command = [sys.executable, __file__, "--measure", place, "--workers", str(options.workers)]
        subprocess.run(command, check=True)


def make(place: Path, pairs: int, workers: int) -> None:
    """Write the pairs as the step that makes pairs would."""
    jobs = {f"0000-{begin // PART:04}": min(PART, pairs - begin) for begin in range(0, pairs, PART)}

    def write(workplace: Workplace) -> Counts:
        with ProcessPoolExecutor(workers) as pool:
            for _ in pool.map(write_part, [workplace.folder] * len(jobs), jobs, jobs.values()):
                pass
        return {}

    run_step(place / "pairs", write, settings={}, inputs={}, code=())


def write_part(folder: Path, name: str, size: int) -> None:
    """Write the pairs of one part."""
    write_pairs(folder / f"{name}.parquet", part(name, size))


def part(name: str, size: int) -> Iterator[Pair]:
    """The pairs of one part; the id of a planted one ends in the row that it was made of."""
    rng = np.random.default_rng([SEED, int(name[-4:])])
    letters = np.array(list("etaoinshrdlcumwfgypbvk"))
    english = ["".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(20_000)]
    chinese = ["".join(map(chr, rng.integers(0x4E00, 0x5800, rng.integers(1, 4)))) for _ in range(20_000)]
    hundred: list[tuple[str, str]] = []
    for row in range(size):
        hundred = hundred if row % 100 else []
        if row % 100 in PLANTED:
            original = int(rng.integers(0, len(hundred)))
            sides = edited(*hundred[original], *PLANTED[row % 100], rng)
            note = f"{row % 100}-{row - row % 100 + original}"
        else:
            words, space = ((english, " "), (chinese, ""))[row % 2]
            scale = 1 if space else 2.6
            sides = (text(words, space, int(8 * scale), rng), text(words, space, int(41 * scale), rng))
            note = ""
        hundred.append(sides)
        yield Pair("made", "qa", *sides, None, "en", pair_id=f"{name}-{row}-{note}")


def text(words: list[str], space: str, length: int, rng: np.random.Generator) -> str:
    """About `length` words drawn by Zipf's law."""
    drawn = rng.zipf(1.15, rng.integers(length // 2, length * 3 // 2 + 1)) % len(words)
    return space.join(words[index] for index in drawn)


def edited(
    text_a: str, text_b: str, lowest: float, highest: float, rng: np.random.Generator
) -> tuple[str, str]:
    """The pair with one character after another replaced until its similarity lies between two bounds."""
    while True:
        sides = [list(text_a), list(text_b)]
        for _ in range(len(text_a) + len(text_b)):
            side = sides[int(rng.random() < len(text_b) / (len(text_a) + len(text_b)))]
            side[int(rng.integers(0, len(side)))] = chr(int(rng.integers(0x5A00, 0x6A00)))
            found = "".join(sides[0]), "".join(sides[1])
            together, least = similarity((text_a, text_b), found)
            if lowest <= together < highest and least >= 0.5:
                return found
            if together < lowest:
                break


def similarity(one: tuple[str, str], other: tuple[str, str]) -> tuple[float, float]:
    """Jaccard similarity of both sides together, and the lower one of the sides alone."""
    shared, every = [], []
    for first, second in zip(one, other, strict=True):
        a, b = (shingles(match_key(clean(side))) for side in (first, second))
        shared.append(len(a & b))
        every.append(len(a | b))
    return sum(shared) / sum(every), min(map(lambda a, b: a / b, shared, every))


def shingles(key: str) -> set[str]:
    """The windows of five characters."""
    return {key[at : at + 5] for at in range(max(1, len(key) - 4))}


def measure(place: Path, workers: int) -> None:
    """Mark the duplicates and print seconds, memory, recall and false alarms."""
    peak, done = [0], threading.Event()
    watcher = threading.Thread(target=watch, args=(peak, done))
    watcher.start()
    begin = time.perf_counter()
    record = dedupe_pairs(DataFolder(place), DedupeConfig(), workers=workers)
    seconds = time.perf_counter() - begin
    spent = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    processor = sum(usage.ru_utime + usage.ru_stime for usage in spent)
    done.set()
    watcher.join()
    rows, marked, false = record.counts["rows"], 0, 0
    for part in record.parts:
        for mark in read_marks(place / "marks" / "duplicates" / part):
            row = mark.id.split("-")
            # A mark on a planted pair counts where it names the very pair that it was made of.
            if row[3] == "40" and mark.note.split("-")[:3] == [*row[:2], row[4]]:
                marked += 1
            else:
                false += 1
    planted = rows // 100
    figures = {
        "pairs": rows,
        "seconds": round(seconds, 1),
        "processor seconds": round(processor, 1),
        "peak MiB": peak[0] >> 20,
        "planted": planted,
        "recall": round(marked / planted, 4),
        "false": false,
        "precision": round(marked / max(1, marked + false), 5),
    }
    print(json.dumps(figures))


def watch(peak: list[int], done: threading.Event) -> None:
    """Keep in `peak` the most memory that this process and its children held together."""
    while not done.wait(0.2):
        peak[0] = max(peak[0], sum(map(resident, family())))


def family() -> list[int]:
    """This process and its children."""
    own = os.getpid()
    found = [own]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # It ended meanwhile.
            continue
        if parent == own:
            found.append(int(folder.name))
    return found


def resident(process: int) -> int:
    """Bytes that a process holds, not counting what it shares with others."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()
    except OSError:
        return 0
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
