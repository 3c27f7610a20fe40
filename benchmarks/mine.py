"""How long mining hard negatives takes, everything included, and what it needs of memory.

    python benchmarks/mine.py                                 # 100,000 queries against 500,000 passages
    python benchmarks/mine.py --queries 10000 --passages 50000 --documents MY_FOLDER

The pairs are those of `consistency.py`, all of one source, of which some are drawn as queries. Starts in a
new folder each time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import islice
from pathlib import Path

from consistency import DOCUMENTS, make_folder, pairs_of, print_figures, processor_time

from yuyi.data.negatives import NegativesConfig, mine_negatives


def main() -> None:
    """Make the pairs, mine, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--passages", type=int, default=500_000)
    parser.add_argument("--documents", type=Path, default=DOCUMENTS)
    options = parser.parse_args()
    pairs = islice(pairs_of(options.documents), options.passages)
    with tempfile.TemporaryDirectory() as path:
        folder = make_folder(Path(path), pairs)
        spent, begin = processor_time(), time.perf_counter()
        record = mine_negatives(folder, NegativesConfig(queries=options.queries))
        print_figures(options.queries, f"queries against {options.passages:,} passages", begin, spent)
        estimate = json.loads((folder.path / record.step / "estimate.json").read_text("utf-8"))
        print(f"negatives: {sum(record.counts['mined'].values()):,}")
        print({name: estimate[name] for name in ("hidden_answers", "covered_answers")})


if __name__ == "__main__":
    main()
