"""`report.html`: what was made, what was kept and why the rest was not, on one page that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.artifacts import publish_file
from yuyi.data.showing import outcome, svg
from yuyi.data.showing.examples import example, examples
from yuyi.data.showing.statistics import LENGTH_EDGES, find_statistics
from yuyi.data.showing.tables import key, percent
from yuyi.page import Section, head, page, safe, table
from yuyi.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from yuyi.data.folder import DataFolder
    from yuyi.data.showing.statistics import ReasonFigures, Statistics, Tally
    from yuyi.data.step import StepRecord

_STEP_NAMES = {
    "pairs": ("made", "生成"),
    "marks/documents": ("documents without duplicates", "文档去重"),
    "marks/filters": ("filters", "规则过滤"),
    "marks/duplicates": ("duplicates", "去重"),
    "marks/evaluation": ("evaluation texts", "评测去污染"),
    "marks/consistency": ("consistency", "一致性"),
    "marks/quality": ("quality", "质量"),
}
_LANGUAGES = {"zh": "中文", "en": "English"}


def write_report(folder: DataFolder, statistics: Statistics | None = None) -> Path:
    """The path of `report.html` in a data folder, after writing it.

    Args:
        folder: holds finished `pairs`, and whatever other steps were done.
        statistics: of the folder; None to find them.

    Raises:
        InputError: there are no pairs, marks are out of date, or the page cannot be written. Negatives and a
            training set may be out of date; the page then says so.
    """
    text = page_of(folder, statistics or find_statistics(folder))
    path = folder.path / "report.html"
    with publish_file(path) as temporary:
        temporary.write_text(text, "utf-8")
    return path


def page_of(folder: DataFolder, statistics: Statistics) -> str:
    """The whole page, as HTML.

    Args:
        folder: whose name it bears, and whose scores, negatives and training set it shows.
        statistics: of the folder.
    """
    name = folder.path.resolve().name
    sections = [
        Section("kept", "What is kept", "保留情况", _funnel(statistics)),
        Section("sources", "Sources", "来源", _sources(statistics)),
        Section("rules", "Rules", "规则", _tallies(statistics.rules, "rule", "规则")),
        Section("reasons", "Reasons", "剔除原因", _reasons(statistics)),
        Section("quality", "Quality", "质量评分", outcome.quality(folder)),
        Section("lengths", "Lengths", "长度", _lengths(statistics)),
        Section("languages", "Languages", "语言与字体", _languages(statistics)),
        Section("examples", "Kept pairs", "保留样例", _kept_samples(statistics)),
        Section("negatives", "Hard negatives", "难负例", outcome.negatives(folder)),
        Section("mixture", "Training set", "训练集", outcome.training_set(folder)),
        Section("steps", "Steps", "步骤", _steps(statistics.steps)),
    ]
    return page(
        name,
        'Training pairs, and why others were dropped. <span lang="zh">训练句对，以及每条剔除的理由。</span>',
        _tiles(statistics),
        sections,
        style=Path(__file__).with_name("report.css").read_text("utf-8"),
        footer=f"yuyi {__version__} · random examples, the same at every run",
    )


def _tiles(statistics: Statistics) -> str:
    pairs = statistics.pairs
    dropped = pairs.made - pairs.kept
    kept_by_language = [(lang, tally.kept) for lang, tally in statistics.languages.items() if tally.kept]
    kept_by_language.sort(key=lambda item: -item[1])
    shares = " · ".join(
        f"{safe(_language(lang))} {percent(count, pairs.kept)}" for lang, count in kept_by_language[:3]
    )
    documents = sum(statistics.documents.values())
    marked = f"{statistics.documents_marked:,} marked" if statistics.documents_marked else "from "
    about = f"{marked}{'; ' if statistics.documents_marked else ''}{len(statistics.sources):,} sources"
    tiles = [
        ("", "Documents", "文档", f"{documents:,}", about),
        ("", "Pairs made", "生成句对", f"{pairs.made:,}", f"by {len(statistics.rules):,} rules"),
        (
            "main",
            "Pairs kept",
            "保留句对",
            f"{pairs.kept:,}",
            f"{percent(pairs.kept, pairs.made)} of all",
        ),
        ("", "Dropped", "剔除", f"{dropped:,}", f"for {len(statistics.reasons):,} reasons"),
    ]
    cells = "".join(
        f'<div class="tile {kind}">{name} <i lang="zh">{chinese}</i><b>{number}</b>'
        f"<small>{note}</small></div>"
        for kind, name, chinese, number, note in tiles
        if number != "0" or name != "Documents"
    )
    bar = f'<div class="card"><h3>Kept by language <i lang="zh">语言占比</i> <i>{shares}</i></h3>'
    return f'<div class="tiles">{cells}</div>{bar}{svg.shares(kept_by_language)}</div>'


def _funnel(statistics: Statistics) -> str:
    made = statistics.pairs.made
    rows, before = [], made
    for step, left in statistics.funnel.items():
        name, chinese = _STEP_NAMES.get(step, (step.removeprefix("marks/"), ""))
        lost = f"−{before - left:,}" if left < before else ""
        rows.append(
            f'<tr><td class="name">{safe(name)} <span class="dim" lang="zh">{chinese}</span></td>'
            f'<td class="wide">{svg.bar(before, left, made)}</td><td class="num">{left:,}</td>'
            f'<td class="num dim">{lost}</td><td class="num dim">{percent(left, made)}</td></tr>'
        )
        before = left
    text = "Steps mark pairs, in this order, and delete none. A pair is counted where it is first marked."
    first = head(
        ("after <i>经过</i>", ""),
        ("", "wide"),
        ("left <i>剩余</i>", "num"),
        ("lost <i>剔除</i>", "num"),
        ("", "num"),
    )
    return f'<p>{text}</p><div class="card">{key()}<table>{first}{"".join(rows)}</table></div>'


def _sources(statistics: Statistics) -> str:
    documents = {name: f"{count:,}" for name, count in statistics.documents.items()}
    licences = {name: origin.licence for name, origin in statistics.origins.items() if origin.licence}
    extra = [("documents <i>文档</i>", "num", documents)]
    if licences:
        extra.append(("licence <i>许可</i>", "", licences))
    return _tallies(statistics.sources, "source", "来源", extra)


def _tallies(
    tallies: Mapping[str, Tally],
    what: str,
    chinese: str,
    extra: Sequence[tuple[str, str, Mapping[str, str]]] = (),
) -> str:
    """A table with a bar for each name."""
    largest = max((tally.made for tally in tallies.values()), default=1)
    rows = [
        f'<tr><td class="name">{safe(name)}</td>'
        f'<td class="wide">{svg.bar(tally.made, tally.kept, largest)}</td>'
        f'<td class="num">{tally.made:,}</td><td class="num">{tally.kept:,}</td>'
        f'<td class="num dim">{percent(tally.kept, tally.made)}</td>'
        + "".join(f'<td class="{kind} dim">{safe(column.get(name, ""))}</td>' for _, kind, column in extra)
        + "</tr>"
        for name, tally in tallies.items()
    ]
    first = head(
        (f"{what} <i>{chinese}</i>", ""),
        ("", "wide"),
        ("made <i>生成</i>", "num"),
        ("kept <i>保留</i>", "num"),
        ("", "num"),
        *((title, kind) for title, kind, _ in extra),
    )
    return f'<div class="card">{key()}{table(first, rows)}</div>'


def _reasons(statistics: Statistics) -> str:
    if not statistics.reasons:
        return "<p>No step has marked a pair.</p>"
    largest = statistics.reasons[0].pairs
    rows = "".join(
        f'<tr><td class="name"><a href="#reason-{number}">{safe(each.reason)}</a></td>'
        f'<td class="wide">{svg.bar(each.pairs, each.alone, largest)}</td><td class="num">{each.pairs:,}</td>'
        f'<td class="num">{each.alone:,}</td>'
        f'<td class="num dim">{percent(each.pairs, statistics.pairs.made)}</td></tr>'
        for number, each in enumerate(statistics.reasons)
    )
    first = head(
        ("reason <i>原因</i>", ""),
        ("", "wide"),
        ("pairs <i>句对</i>", "num"),
        ("by it alone <i>仅此</i>", "num"),
        ("of all", "num"),
    )
    text = (
        "A pair may be marked for several reasons. Those marked for one alone, the green part of a bar, "
        "would come back if the reason were ignored: <code>--set 'mix.ignore=[\"REASON\"]'</code>."
    )
    cards = "".join(_reason(number, each) for number, each in enumerate(statistics.reasons))
    return f'<p>{text}</p><div class="card"><table>{first}{rows}</table></div>{cards}'


def _reason(number: int, figures: ReasonFigures) -> str:
    sources = list(figures.sources.items())
    where = ", ".join(f"{safe(name)} {count:,}" for name, count in sources[:5])
    more = f" and {len(sources) - 5:,} more" if len(sources) > 5 else ""
    return (
        f'<div class="card" id="reason-{number}"><div class="reason"><div><h3>{safe(figures.reason)}'
        f'<span class="step">{safe(figures.step)}</span></h3><dl>'
        f"<div><dt>pairs <i>句对</i></dt><dd>{figures.pairs:,}</dd></div>"
        f"<div><dt>by it alone <i>仅此原因</i></dt><dd>{figures.alone:,}</dd></div></dl>"
        f'<div class="where">{where}{more}</div></div><div>{svg.values(figures.values, figures.limits)}</div>'
        f"</div>{examples(figures.samples, figures.reason)}</div>"
    )


def _lengths(statistics: Statistics) -> str:
    cards = "".join(
        f'<div class="card"><h3>{side} <i>{about}</i></h3>{svg.lengths(LENGTH_EDGES, *counts)}</div>'
        for (side, counts), about in zip(
            statistics.lengths.items(), ("asks 提问侧", "answers 回答侧"), strict=True
        )
    )
    text = "Pairs by tokens of either side; the axis is logarithmic."
    return (
        f'<p>{text} <span lang="zh">横轴为对数刻度的词元数。</span></p>{key()}<div class="two">{cards}</div>'
    )


def _languages(statistics: Statistics) -> str:
    named = {_language(lang): tally for lang, tally in statistics.languages.items()}
    tables = _tallies(named, "language of pairs", "语言")
    if statistics.blocks:
        total = sum(statistics.blocks.values())
        found: dict[tuple[str, str], list[int]] = {}
        for (lang, script, drop), count in statistics.blocks.items():
            numbers = found.setdefault((lang, script), [0, 0])
            numbers[0] += count
            numbers[1] += 0 if drop else count
        rows = "".join(
            f'<tr><td class="name">{safe(_language(lang) or "unknown")} '
            f'<span class="dim">{safe(script)}</span></td>'
            f'<td class="wide">{svg.bar(made, kept, total)}</td><td class="num">{made:,}</td>'
            f'<td class="num">{kept:,}</td><td class="num dim">{percent(made, total)}</td></tr>'
            for (lang, script), (made, kept) in sorted(found.items(), key=lambda item: -item[1][0])
        )
        first = head(
            ("writing of documents <i>字体</i>", ""),
            ("", "wide"),
            ("characters <i>字符</i>", "num"),
            ("used <i>可用</i>", "num"),
            ("", "num"),
        )
        tables += f'<div class="card">{key()}<table>{first}{rows}</table></div>'
    return tables


def _kept_samples(statistics: Statistics) -> str:
    rules = "".join(
        f'<details class="rule"><summary><b>{safe(kind)}</b>'
        f'<span class="dim">{statistics.rules[kind].kept:,} kept</span></summary>'
        + "".join(example(each) for each in statistics.kept_samples[kind])
        + "</details>"
        for kind in sorted(statistics.kept_samples, key=lambda kind: -statistics.rules[kind].kept)
    )
    text = "Random pairs of each rule that no step marked."
    return f'<p>{text}</p><div class="card">{rules}</div>' if rules else ""


def _steps(steps: Sequence[StepRecord]) -> str:
    slowest = max((record.seconds for record in steps), default=1)
    rows = "".join(
        f'<tr><td class="name">{safe(record.step)}</td>'
        f'<td class="wide">{_seconds_bar(record.seconds, slowest)}</td>'
        f'<td class="num">{record.seconds:,.1f} s</td>'
        f'<td class="num">{record.peak_memory / 2**20:,.0f} MiB</td>'
        f'<td class="num">{record.counts.get("rows", 0):,}</td>'
        f'<td class="dim"><code>{safe(record.digest[:12])}</code></td></tr>'
        for record in steps
    )
    first = head(
        ("step <i>步骤</i>", ""),
        ("", "wide"),
        ("time <i>用时</i>", "num"),
        ("peak memory <i>内存峰值</i>", "num"),
        ("rows <i>行数</i>", "num"),
        ("digest", ""),
    )
    return f'<div class="card"><table>{first}{rows}</table></div>'


def _seconds_bar(seconds: float, slowest: float) -> str:
    tenths = round(seconds * 10)
    return svg.bar(tenths, tenths, round(slowest * 10))


def _language(lang: str) -> str:
    return " + ".join(_LANGUAGES.get(each, each) for each in lang.split("-"))
