"""How fast transformer models encode: yuyi beside everyone else, with fidelity, memory and loading time.

    python benchmarks/encode.py            # everything, three rounds: about 20 minutes on 2 cores
    python benchmarks/encode.py --quick    # MiniLM, a quarter of the mixed texts, two rounds: about 3 minutes
    python benchmarks/encode.py --peers yuyi sentence-transformers --models MiniLM-L6 --rounds 5

Contenders take turns, each turn in a fresh process that is bound to the same cores with as many threads. One
round measures every contender once on every set of texts, so that whatever else the machine does meets all of
them. Medians over the rounds; a ratio is the median of the ratios within each round.
A report and a chart are written to `benchmarks/reports`. Extra: pip install 'yuyi[bench]'.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from encode_inputs import MAX_TOKENS, MODELS, make_texts
from encode_peers import PEERS, REFERENCE, vectors_file
from encode_report import MAIN_SET, Row, Table, publish

HERE = Path(__file__).resolve().parent
SETS = ("queries", "mixed", "long")
WARM_UP = 32
# Forms of the model, and which other form each is made from.
SOURCES = {"onnx": "", "fused": "onnx", "quantised": "fused", "ctranslate2": "", "exported": ""}
# Seconds; some have been seen to hang.
PATIENCE = 900


def main() -> None:
    """Measure, print, and write the report."""
    options = parse_options()
    available = sorted(os.sched_getaffinity(0))
    cores = available[: options.cores or len(available)]
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        tables = [measure_model(name, work / name, cores, options) for name in options.models]
    publish(tables, cores=len(cores), rounds=options.rounds, folder=options.report)


def parse_options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="contenders whose name holds one of these")
    parser.add_argument("--models", nargs="+", choices=MODELS)
    parser.add_argument("--sets", nargs="+", choices=SETS)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--cores", type=int, help="how many of the available cores to use (default: all)")
    parser.add_argument(
        "--quick", action="store_true", help="one model, fewer texts, two rounds; no report unless --report"
    )
    parser.add_argument(
        "--work", type=Path, help="keep the converted models here (default: a temporary folder)"
    )
    parser.add_argument("--report", type=Path, help="folder of the report (default: benchmarks/reports)")
    options = parser.parse_args()
    quick = options.quick
    options.models = options.models or (["MiniLM-L6"] if quick else list(MODELS))
    options.sets = options.sets or ([MAIN_SET] if quick else list(SETS))
    options.rounds = options.rounds or (2 if quick else 3)
    options.share = 0.25 if quick else 1.0
    options.report = options.report or (None if quick else HERE / "reports")
    wanted = [
        name
        for name in PEERS
        if name == REFERENCE or not options.peers or any(part in name for part in options.peers)
    ]
    options.peers = wanted
    return options


def measure_model(model: str, home: Path, cores: list[int], options: argparse.Namespace) -> Table:
    """Every chosen contender with one model."""
    make, share = MODELS[model]
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "model").exists():
        _say(f"{model}: writing the model")
        make(home / "model")
    texts = write_texts(home, options.sets, share * options.share)
    table = Table(model, texts, {name: Row() for name in options.peers}, {})
    make_forms(home, table, cores)
    for number in range(1, options.rounds + 1):
        limit = run(["limit", home, len(cores)], cores)
        for dtype, rate in limit.items():
            table.limit.setdefault(dtype, []).append(rate)
        for name, row in table.rows.items():
            if row.problem:
                continue
            _say(f"{model}: round {number} of {options.rounds}: {name}")
            try:
                answer = run(["peers", name, home, len(cores), *texts], cores)
            except RuntimeError as error:
                row.problem = str(error)
            else:
                add_turn(row, answer, texts)
    compare_vectors(table, home)
    return table


def run(command: list[object], cores: list[int]) -> Any:
    """What `encode_<first word>.py` prints as JSON, run on these cores with the other words as arguments.

    Raises:
        RuntimeError: it failed, with the last line of what it said, or did not end.
    """
    part, *arguments = command
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), str(len(cores)))
    settings = {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1", "YUYI_OFFLINE": "1"}
    script = [sys.executable, str(HERE / f"encode_{part}.py"), *map(str, arguments)]
    try:
        done = subprocess.run(
            ["taskset", "-c", ",".join(map(str, cores)), *script],
            env={**os.environ, **threads, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"did not end within {PATIENCE} seconds") from error
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(said[-1][:200] if said else f"ended with {done.returncode}")
    return json.loads(done.stdout)


def write_texts(home: Path, sets: list[str], share: float) -> dict[str, tuple[int, int]]:
    """Write `<set>.json` and a few texts to warm up with; (texts, tokens) of each set."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(home / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    sizes = {}
    for name, texts in make_texts(home / "model" / "tokenizer.json").items():
        if name == MAIN_SET:
            (home / "warm-up.json").write_text(json.dumps(texts[:WARM_UP]))
        if name in sets:
            chosen = texts[: max(4, round(share * len(texts)))]
            (home / f"{name}.json").write_text(json.dumps(chosen))
            sizes[name] = len(chosen), sum(map(len, tokenizer.encode_batch_fast(chosen)))
    return sizes


def make_forms(home: Path, table: Table, cores: list[int]) -> None:
    """Write the forms of the model that contenders load; one that fails is a problem of those who need it."""
    needed = {PEERS[name].form for name in table.rows}
    if "quantised" in needed:
        needed.add("fused")
    if "fused" in needed:
        needed.add("onnx")
    problems: dict[str, str] = {}
    for form, source in SOURCES.items():
        if form not in needed or (home / form).exists():
            continue
        if source in problems:
            problems[form] = problems[source]
            continue
        _say(f"{table.model}: writing its {form} form")
        try:
            run(["forms", form, home], cores)
        except RuntimeError as error:
            problems[form] = f"{form} form: {error}"
    for name, row in table.rows.items():
        row.problem = problems.get(PEERS[name].form, "")


def add_turn(row: Row, answer: dict[str, Any], texts: dict[str, tuple[int, int]]) -> None:
    """Add what one turn measured to a contender's row."""
    for name, (_, tokens) in texts.items():
        row.rates.setdefault(name, []).append(tokens / answer["encode"][name])
    for part in ("import", "load"):
        row.seconds.setdefault(part, []).append(answer[part])
    row.peak = max(row.peak, answer["peak"])


def compare_vectors(table: Table, home: Path) -> None:
    """Fill in the cosines to the reference's vectors."""
    if MAIN_SET not in table.texts or table.rows[REFERENCE].problem:
        return
    wanted = _unit(np.load(vectors_file(home, REFERENCE, MAIN_SET)))
    for name, row in table.rows.items():
        if not row.problem:
            cosines = (_unit(np.load(vectors_file(home, name, MAIN_SET))) * wanted).sum(axis=1)
            row.cosines = float(cosines.mean()), float(cosines.min())


def _unit(vectors: Any) -> Any:
    vectors = vectors.astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
