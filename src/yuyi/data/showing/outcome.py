"""What came of the pairs, for the report: scores of quality, hard negatives, and the training set.

Negatives and a training set that were made from other pairs or marks than are there now have no figures on
the page, since these would contradict the rest of it; it says so, and which command mends it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.data.mixing.rows import current_negatives
from yuyi.data.mixture import current_mixture
from yuyi.data.quality import quality_scores
from yuyi.data.showing import svg
from yuyi.data.showing.tables import key, percent
from yuyi.errors import InputError
from yuyi.page import head, safe, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from yuyi.data.folder import DataFolder
    from yuyi.data.step import StepRecord

_QUALITY, _SCORES = "marks/quality", ".scores.parquet"
# Examples of negatives of each sort.
_EXAMPLES = 5


def quality(folder: DataFolder) -> str:
    """How the graded pairs score, as HTML; empty where none were graded."""
    record = folder.record(_QUALITY)
    parts = [name.removesuffix(_SCORES) for name in record.parts if name.endswith(_SCORES)] if record else []
    found = [score for part in parts for score in quality_scores(folder, part).values()]
    if record is None or not found:
        return ""
    least = float(record.settings["least"])
    low = sum(score < least for score in found)
    text = (
        f"{safe(str(record.settings['model']))} graded {len(found):,} pairs from 0 to 5; "
        f"{low:,} of them, {percent(low, len(found))}, score less than {least:g} and are marked."
    )
    return f'<p>{text}</p><div class="card narrow">{svg.values(np.array(found), {"least": least})}</div>'


def negatives(folder: DataFolder) -> str:
    """How many hard negatives there are, how many may be false, and some of them, as HTML."""
    return _unless_outdated(folder, "negatives", current_negatives, _negatives)


def training_set(folder: DataFolder) -> str:
    """What was taken of each source, as HTML."""
    return _unless_outdated(folder, "mixture", current_mixture, _training_set)


def _unless_outdated(
    folder: DataFolder,
    step: str,
    current: Callable[[DataFolder], StepRecord],
    show: Callable[[DataFolder, StepRecord], str],
) -> str:
    if folder.record(step) is None:
        return ""
    try:
        record = current(folder)
    except InputError as error:
        return f'<p class="outdated">Out of date, so without figures. {safe(str(error), 1000)}</p>'
    return show(folder, record)


def _negatives(folder: DataFolder, record: StepRecord) -> str:
    asked, mined = (record.counts.get(name, {}) for name in ("pairs", "mined"))
    rows = [
        f'<tr><td class="name">{safe(source)}</td><td class="num">{asked[source]:,}</td>'
        f'<td class="num">{mined.get(source, 0):,}</td>'
        f'<td class="num dim">{mined.get(source, 0) / max(asked[source], 1):.1f}</td></tr>'
        for source in sorted(asked, key=lambda name: -mined.get(name, 0))
    ]
    first = head(
        ("passages of <i>来源</i>", ""),
        ("pairs <i>句对</i>", "num"),
        ("negatives <i>负例</i>", "num"),
        ("a pair", "num"),
    )
    file = folder.path / "negatives" / "estimate.json"
    estimate = json.loads(file.read_text("utf-8")) if file.exists() else None
    counted = f'<div class="card">{table(first, rows)}</div>' if rows else ""
    return counted + (_estimate(estimate) if estimate else "")


def _estimate(estimate: Mapping[str, Any]) -> str:
    """How many negatives may answer after all, by either measure, with examples."""
    hidden, covered = estimate["hidden_answers"], estimate["covered_answers"]
    told = []
    if hidden["mined"]:
        told.append(
            f"Where a query has several known answers, all but one were hidden from the miner: "
            f"<b>{hidden['share_of_negatives']:.2%}</b> of the {hidden['mined']:,} negatives that it then "
            f"chose for {hidden['pairs']:,} such pairs are hidden answers. At least as many are false for "
            "such queries."
        )
    if covered["sample"]:
        told.append(
            f"Of a sample of {covered['sample']:,} negatives <b>{covered['share_of_negatives']:.1%}</b> say "
            "at least half of what the positive says, by the weight of its words, and "
            f"{covered['share_by_chance']:.1%} of random passages do."
        )
    if not told:
        return ""
    shown = "".join(
        f"<details><summary>{title}</summary>{''.join(map(_example, some[:_EXAMPLES]))}</details>"
        for title, some in (
            ("Random negatives · 随机负例", estimate["examples"]["random"]),
            ("Those that say most of the positive · 最像正例的负例", estimate["examples"]["most_covered"]),
        )
        if some
    )
    text = "".join(f"<p>{each}</p>" for each in told)
    title = '<h3>How many may be answers after all <i lang="zh">疑似假负例</i></h3>'
    return f'<div class="card">{title}{text}{shown}</div>'


def _example(one: Mapping[str, Any]) -> str:
    texts = "".join(
        f'<div><div class="dim">{name} · {score:.3f}</div>'
        f'<div class="text" dir="auto">{safe(text, 700)}</div></div>'
        for name, text, score in (
            ("positive 正例", one["positive"], one["positive_score"]),
            ("negative 负例", one["negative"], one["negative_score"]),
        )
    )
    return (
        f'<div class="sample"><div class="text ask" dir="auto">{safe(one["query"], 700)}</div>'
        f'<div class="sides even">{texts}</div><div class="meta"><span>{safe(one["source"])}</span>'
        f"<span>says {one['coverage']:.0%} of the positive</span></div></div>"
    )


def _training_set(folder: DataFolder, record: StepRecord) -> str:
    manifest = json.loads((folder.path / "mixture" / "manifest.json").read_text("utf-8"))
    sources = sorted(manifest["sources"].items(), key=lambda item: -item[1]["taken"])
    largest = max((max(told["kept"], told["taken"]) for _, told in sources), default=1)
    rows = [
        f'<tr><td class="name">{safe(name)}</td>'
        f'<td class="wide">{svg.bar(max(told["kept"], told["taken"]), told["taken"], largest)}</td>'
        f'<td class="num">{told["pairs"] - told["kept"]:,}</td>'
        f'<td class="num">{told["kept"]:,}</td><td class="num">{told["taken"]:,}</td>'
        f'<td class="num dim">{told["share"]:.1%}</td></tr>'
        for name, told in sources
    ]
    first = head(
        ("source <i>来源</i>", ""),
        ("", "wide"),
        ("dropped <i>剔除</i>", "num"),
        ("kept <i>保留</i>", "num"),
        ("taken <i>选用</i>", "num"),
        ("share <i>占比</i>", "num"),
    )
    settings = manifest["settings"]
    dropped = sum(told["pairs"] - told["kept"] for _, told in sources)
    alpha = f" · alpha {settings['alpha']:g}" if settings["size"] is not None else ""
    ignored = f" · ignoring {safe(', '.join(settings['ignore']), 300)}" if settings["ignore"] else ""
    return (
        f"<p>{safe(manifest['file'])}: {manifest['rows']:,} rows{alpha} · seed {manifest['seed']}{ignored} · "
        f"sha256 <code>{safe(manifest['sha256'][:16])}…</code>. {dropped:,} pairs were "
        "dropped; one that has several reasons counts once here, and under each of them in the manifest.</p>"
        f'<div class="card">{key("taken 选用", "left 未选")}{table(first, rows)}</div>'
    )
