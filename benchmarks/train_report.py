"""What `benchmarks/train.py` found, as a dated Markdown page."""

from __future__ import annotations

import re
import statistics
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from train_peers import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from train import Case

_PACKAGES = ("yuyi", "torch", "transformers", "sentence-transformers")


def publish(
    cases: Sequence[Case],
    *,
    cores: int,
    rounds: int,
    processor_time: bool,
    notes: Iterable[str],
    folder: Path | None,
) -> None:
    """Print the report; with `folder`, write it there as Markdown.

    Args:
        cases: what was measured.
        cores: how many were used.
        rounds: how many were measured.
        processor_time: rates are by processor time.
        notes: sentences for the head, empty ones left out.
        folder: where the report goes; None prints only.
    """
    lines = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ""
    )
    processor = lines.partition(":")[2].strip() or "unknown processor"
    page = "\n".join([*_head(processor, cores, rounds, processor_time, notes), *_table(cases), ""])
    print(page)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        slug = re.sub(r"[^a-z0-9]+", "-", processor.lower()).strip("-")
        target = folder / f"train_{slug}_{date.today():%Y%m}.md"
        target.write_text(page, encoding="utf-8")
        print(f"written: {target}")


def _head(
    processor: str, cores: int, rounds: int, processor_time: bool, notes: Iterable[str]
) -> Iterable[str]:
    installed = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    yield f"# Training speed, {date.today()}"
    yield ""
    yield f"{processor}, {cores} core{'s' * (cores > 1)}; {installed}."
    yield ""
    clock = (
        "Rates are by processor time, because other work ran on the machine; "
        if processor_time
        else "Rates are by the clock on the wall; "
    )
    yield (
        "`python benchmarks/train.py`: all-MiniLM-L6-v2 trained on by yuyi and by sentence-transformers' "
        "trainer (`MultipleNegativesRankingLoss`, cached: `CachedMultipleNegativesRankingLoss`) from the "
        "same weights on the same pairs in the same order, no dropout, AdamW, everything counted from texts "
        f"to updated weights. {clock}contenders take turns, each turn a process of its own, medians of "
        f"{rounds} round{'s' * (rounds > 1)}. In brackets: the ratio to sentence-transformers in the same "
        "round. Tokens are those of the texts, without padding. Memory is the most that the whole process "
        "held. The difference is the largest between the two losses at the same step, updates in between "
        "included."
    )
    for note in filter(None, notes):
        yield ""
        yield note
    yield ""


def _table(cases: Iterable[Case]) -> Iterable[str]:
    yield "| pairs a step | contender | pairs/s | tokens/s | peak MiB | steps | losses differ by |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for case in cases:
        for name, rates in case.rates.items():
            if not rates:
                yield f"| {case.name} | {name} | does not fit in memory | | > {case.room / 2**20:,.0f} | | |"
                continue
            rate, others = statistics.median(rates), case.rates[REFERENCE]
            ratios = [own / other for own, other in zip(rates, others, strict=False)]
            ratio = f" ({statistics.median(ratios):.2f}×)" if ratios else ""
            yield (
                f"| {case.name} | {name} | {rate:.2f}{ratio} | {rate * case.tokens:,.0f} "
                f"| {case.peaks[name] / 2**20:,.0f} | {case.steps} "
                f"| {f'{case.difference:.1e}' if ratios else ''} |"
            )
