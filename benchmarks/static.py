"""How fast the embedded model encodes, against its own tokenizer and against others with the same table.

    python benchmarks/static.py                       # texts of ../shared/data/eval
    python benchmarks/static.py --texts MY_LINES.txt  # your own: each line a query, each 20 lines a passage

All contenders get the same texts and the same float32 or int8 table; rounds are interleaved and medians
printed. The tokenizer's own figure is its fastest batch call alone, before any id has reached Python.
Fidelity is the lowest cosine to sentence-transformers' StaticEmbedding in float32 on the same folder.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

HERE = Path(__file__).resolve().parent
ROUNDS = 7


def main() -> None:
    """Measure on one core and on all of them, and stream."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path, help="a text file; each line becomes a query")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.texts)))
        return
    cores = sorted(os.sched_getaffinity(0))
    for count in sorted({1, len(cores)}):
        show(count, in_process(cores[:count], options.texts))
    stream()


def in_process(cores: list[int], texts: Path | None) -> dict[str, dict[str, float]]:
    """The figures of a fresh process that is bound to `cores`."""
    threads = str(len(cores))
    environment = {**os.environ, "RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, __file__, "--measure"]
    if texts:
        command += ["--texts", str(texts)]
    answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, dict[str, float]] = json.loads(answer.stdout.splitlines()[-1])
    return figures


def show(cores: int, figures: dict[str, dict[str, float]]) -> None:
    """Print the figures of one number of cores."""
    plural = "s" if cores > 1 else ""
    print(f"\n{cores} core{plural}: texts a second, and the share of the tokenizer's own figure")
    for name, rates in figures.items():
        print(f"  {name}, {rates.pop('tokens'):.1f} tokens on average")
        lowest = rates.pop("lowest cosine")
        for contender, rate in rates.items():
            print(f"    {contender:<26}{rate:>12,.0f}{rate / rates['tokenizer alone']:>9.1%}")
        print(f"    lowest cosine of yuyi to sentence-transformers: {lowest:.7f}")


def load_texts(file: Path | None) -> dict[str, list[str]]:
    """The short texts and the long ones."""
    if file:
        lines = [line for line in file.read_text("utf-8").splitlines() if line.strip()]
        return {"queries": lines, "passages": [" ".join(lines[i : i + 20]) for i in range(0, len(lines), 20)]}
    import pyarrow.parquet as pq

    folder = HERE.parent.parent / "shared" / "data" / "eval"
    queries = pq.read_table(folder / "LCQMC_test.parquet")["sentence1"].to_pylist()
    passages = pq.read_table(folder / "retrieval_docs_zh.corpus.parquet")["text"].to_pylist()
    return {"Chinese queries": queries, "Chinese passages": passages}


def measure(file: Path | None) -> dict[str, dict[str, float]]:
    """Texts a second of every contender, by kind of text."""
    import numpy as np
    from model2vec import StaticModel
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

    import yuyi
    from yuyi.encode.load import EMBEDDED
    from yuyi.encode.static_folder import read_static, save_sentence_transformers

    model = read_static(EMBEDDED)
    table = model.backend.table()
    encoder = yuyi.load()
    plain = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    peer = StaticModel(table, Tokenizer.from_file(str(EMBEDDED / "tokenizer.json")), normalize=True)
    with tempfile.TemporaryDirectory() as folder:
        save_sentence_transformers(Path(folder) / "st", model)
        oracle = SentenceTransformer(str(Path(folder) / "st"), device="cpu")

    def naive(texts: list[str]) -> np.ndarray:
        encodings = plain.encode_batch_fast(texts, add_special_tokens=False)
        sums = np.stack([table[encoding.ids].mean(axis=0) for encoding in encodings])
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    contenders: dict[str, Callable[[list[str]], object]] = {
        "tokenizer alone": lambda texts: plain.encode_batch_fast(texts, add_special_tokens=False),
        "yuyi": encoder.encode,
        "model2vec": lambda texts: peer.encode(texts, max_length=None),
        "sentence-transformers": lambda texts: oracle.encode(texts, batch_size=1024),
        "naive gather and mean": naive,
    }
    figures = {}
    for name, texts in load_texts(file).items():
        rates: dict[str, list[float]] = {contender: [] for contender in contenders}
        for _ in range(ROUNDS):
            for contender, encode in contenders.items():
                begin = time.perf_counter()
                encode(texts)
                rates[contender].append(len(texts) / (time.perf_counter() - begin))
        figures[name] = {contender: statistics.median(values) for contender, values in rates.items()}
        figures[name]["tokens"] = statistics.mean(map(len, plain.encode_batch_fast(texts)))
        wanted = oracle.encode(texts[:1000], batch_size=1024)
        found = encoder.encode(texts[:1000])
        figures[name]["lowest cosine"] = float((wanted * found).sum(axis=1).min())
    return figures


def stream() -> None:
    """Two million texts from an iterator, and the memory that it took."""
    code = (
        "import resource, time, yuyi\n"
        "model = yuyi.load(); model.encode('语义')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "begin = time.perf_counter()\n"
        "rows = sum(map(len, model.encode_stream(f'第 {i} 个问题：怎么退款？' for i in range(2_000_000))))\n"
        "seconds = time.perf_counter() - begin\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(f'\\niterator: {rows:,} texts in {seconds:.1f} s, '\n"
        "      f'peak memory {after / 1024:.0f} MiB, '\n"
        "      f'{(after - before) / 1024:.0f} MiB above the loaded model')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    main()
