"""What a step of `yuyi data` says of itself when it is done, on standard error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.data.step import Counts, StepRecord

_EXAMPLES, _SHOWN = 3, 70


def tell(name: str, record: StepRecord, folder: Path) -> None:
    """Print what a step did: rows, time, memory, and its counts over all sources."""
    if record.kept:
        _say(f"{name}: unchanged, kept")
        return
    if record.settings.get("dry_run"):
        _say(f"{name}: nothing was asked")
        for what, value in record.counts.items():
            _say(f"  {what.replace('_', ' ')}: {value if value is None else format(value, ',')}")
        return
    rows, memory = record.counts.get("rows", 0), record.peak_memory / 2**20
    _say(f"{name}: {rows:,} rows in {record.seconds:,.1f} s, {memory:,.0f} MiB")
    for what, by_source in record.counts.items():
        if what != "collections" and isinstance(by_source, dict) and (totals := _totals(by_source)):
            named = ", ".join(f"{key or 'none'} {count:,}" for key, count in totals.items())
            _say(f"  {what.replace('_', ' ')}: {named}")
    if name == "extract" and record.counts.get("skipped"):
        _say(f"  the files that were skipped are listed in {folder / 'documents'}/*.skipped.jsonl")
    if name == "mine":
        _tell_estimate(json.loads((folder / "negatives" / "estimate.json").read_text("utf-8")))


def _tell_estimate(estimate: dict[str, Any]) -> None:
    hidden, covered = estimate["hidden_answers"], estimate["covered_answers"]
    _say("  how many of them may answer after all:")
    _say(
        f"    {_percent(hidden['share_of_negatives'])} are known answers, where one of several was hidden "
        f"({hidden['mined']:,} negatives of {hidden['pairs']:,} pairs)"
    )
    _say(
        f"    {_percent(covered['share_of_negatives'])} say at least half of what the answer says, "
        f"{_percent(covered['share_by_chance'])} of random texts do ({covered['sample']:,} looked at)"
    )
    for each in estimate["examples"]["most_covered"][:_EXAMPLES]:
        _say(f"    {_short(each['query'])} | {_short(each['positive'])} | not: {_short(each['negative'])}")


def _totals(by_source: Counts) -> dict[str, int]:
    """The numbers of all sources together, the largest first; empty where they are not by source and name."""
    totals: dict[str, int] = {}
    for counts in by_source.values():
        for name, count in counts.items() if isinstance(counts, dict) else ():
            if isinstance(count, int):
                totals[name] = totals.get(name, 0) + count
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def _percent(share: float | None) -> str:
    return "none could be tested, so no share" if share is None else f"{100 * share:.1f} %"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def _say(line: str) -> None:
    typer.echo(line, err=True)
