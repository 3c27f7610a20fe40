"""What `benchmarks/encode.py` found, as a table, a dated Markdown page and a chart."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encode_peers import PEERS, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

# Vectors of this set are compared; its rates are the ones that count.
MAIN_SET = "mixed"
_PACKAGES = (
    "yuyi",
    "torch",
    "transformers",
    "sentence-transformers",
    "onnxruntime",
    "openvino",
    "ctranslate2",
    "fastembed",
)
# Above this difference between rounds the machine was doing something else as well.
_STEADY = 0.3
_COLOURS = {"float32": "#3b6ea5", "bfloat16": "#d98c2b", "int8": "#5a9e5f"}


@dataclass(slots=True)
class Row:
    """What is known of one contender with one model.

    Attributes:
        problem: why it could not be measured, or the empty string.
        rates: by set of texts, tokens a second in each round.
        seconds: time to `import` and to `load`, each time.
        peak: bytes of memory at most.
        cosines: (mean, lowest) cosine to the reference's vectors.
    """

    problem: str = ""
    rates: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    peak: float = 0.0
    cosines: tuple[float, float] | None = None


@dataclass(slots=True)
class Table:
    """The rows of one model.

    Attributes:
        model: its name.
        texts: by set, (texts, tokens).
        rows: by contender.
        limit: by dtype, tokens a second that the machine's matrix products allow, in each round.
    """

    model: str
    texts: dict[str, tuple[int, int]]
    rows: dict[str, Row]
    limit: dict[str, list[float]]

    @property
    def main_set(self) -> str:
        """The set whose rates count."""
        return MAIN_SET if MAIN_SET in self.texts else next(iter(self.texts))

    def rate(self, name: str, texts: str) -> float:
        """Tokens a second of a contender, the median over the rounds."""
        return statistics.median(self.rows[name].rates[texts])

    def ratio(self, name: str, texts: str) -> float | None:
        """A contender's rate over the reference's in the same round, the median over the rounds."""
        if self.rows[REFERENCE].problem:
            return None
        pairs = zip(self.rows[name].rates[texts], self.rows[REFERENCE].rates[texts], strict=True)
        return statistics.median(rate / reference for rate, reference in pairs)

    def share(self, name: str) -> float:
        """A contender's rate over the highest that the matrix products of its dtype reached in any round."""
        return self.rate(name, self.main_set) / max(self.limit[PEERS[name].dtype])

    def conditions(self) -> str:
        """How steady the machine was, in a sentence or two."""
        rounds = [row.rates[self.main_set] for row in self.rows.values() if not row.problem]
        if all(len(rates) < 2 for rates in rounds):
            return "One round alone does not show how steady the machine was."
        spreads = [max(rates) / min(rates) - 1 for rates in rounds] or [0.0]
        typical = statistics.median(spreads)
        found = (
            f"Rounds of one contender differed by {typical:.0%} (the median contender), at most by "
            f"{max(spreads):.0%}."
        )
        if typical > _STEADY:
            return f"{found} **Other work disturbed the machine: not figures to quote.**"
        return found


def publish(tables: list[Table], cores: int, rounds: int, folder: Path | None) -> None:
    """Print the report; with `folder`, write it there as Markdown, with a chart beside it.

    Args:
        tables: one a model.
        cores: how many were used.
        rounds: how many were measured.
        folder: where the report goes; None prints only.
    """
    processor = _processor()
    slug = re.sub(r"[^a-z0-9]+", "-", processor.lower()).strip("-")
    name = f"encode_{slug}_{date.today():%Y%m}"
    lines = [*_head(processor, cores, rounds), *(line for table in tables for line in _section(table))]
    print("\n".join(lines))
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        draw(tables, folder / f"{name}.png", f"{processor}, {cores} cores, {date.today()}")
        lines += [f"![Tokens a second by contender]({name}.png)", ""]
        (folder / f"{name}.md").write_text("\n".join(lines), encoding="utf-8")
        print(f"written: {folder / name}.md and .png")


def _head(processor: str, cores: int, rounds: int) -> Iterable[str]:
    installed = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    yield f"# Encoding speed, {date.today()}"
    yield ""
    yield f"{processor}, {cores} cores; {installed}."
    yield ""
    yield (
        "`python benchmarks/encode.py`: contenders take turns on the same cores, each turn a process of its "
        f"own; medians of {rounds} rounds. In brackets: the ratio to sentence-transformers float32 in "
        "the same round, which carries over to other machines better than absolute figures do. A cosine "
        "compares a text's vector with sentence-transformers' in float32. The limit is what torch's matrix "
        "products of the same dtype and shapes reach at best on these cores, alone. "
        "Memory is the most that the whole process held, libraries included. Loading comes after the imports."
    )
    yield ""


def _section(table: Table) -> Iterable[str]:
    sizes = "; ".join(
        f"{name}: {count:,} texts, {tokens:,} tokens" for name, (count, tokens) in table.texts.items()
    )
    limits = ", ".join(f"{dtype} {max(rates):,.0f}" for dtype, rates in table.limit.items())
    yield f"## {table.model}"
    yield ""
    yield f"{sizes}. Limit in tokens/s: {limits}. {table.conditions()}"
    if table.model == "BERT-base":
        yield "Its weights are random, so its cosines say little about a trained model's."
    yield ""
    sets = list(table.texts)
    titles = ["contender", *(f"{name}, tokens/s" for name in sets), "of the limit", "cosine, mean", "lowest"]
    cells = [[*titles, "peak MiB", "import s", "load s"]]
    cells += [_cells(table, name) for name, row in table.rows.items() if not row.problem]
    yield from _aligned(cells)
    yield ""
    for name, row in table.rows.items():
        if row.problem:
            yield f"- {name}: not measured. {row.problem}"
    yield ""


def _cells(table: Table, name: str) -> list[str]:
    row = table.rows[name]
    rates = []
    for texts in table.texts:
        ratio = table.ratio(name, texts)
        rates.append(f"{table.rate(name, texts):,.0f}" + (f" ({ratio:.2f}×)" if ratio else ""))
    cosines = [f"{cosine:.5f}" for cosine in row.cosines] if row.cosines else ["", ""]
    seconds = [f"{statistics.median(row.seconds[part]):.2f}" for part in ("import", "load")]
    return [name, *rates, f"{table.share(name):.0%}", *cosines, f"{row.peak / 2**20:,.0f}", *seconds]


def _aligned(cells: list[list[str]]) -> Iterable[str]:
    """A Markdown table that is also legible as it stands."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in (cells[0], rule, *cells[1:]):
        padded = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        yield f"| {' | '.join(padded)} |"


def draw(tables: list[Table], path: Path, title: str) -> None:
    """Write a chart of the main set's rates, a panel for each model, fastest at the top."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tallest = max(len(table.rows) for table in tables)
    figure, panels = pyplot.subplots(
        1, len(tables), figsize=(7.5 * len(tables), 1.6 + 0.42 * tallest), squeeze=False, layout="constrained"
    )
    for axes, table in zip(panels[0], tables, strict=True):
        _draw_panel(axes, table)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=colour) for colour in _COLOURS.values()]
    figure.legend(handles, _COLOURS, loc="outside lower center", ncols=len(_COLOURS), frameon=False)
    figure.suptitle(f"Encoding texts of mixed lengths: tokens a second\n{title}", fontsize=13)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _draw_panel(axes: Any, table: Table) -> None:
    texts = table.main_set
    names = sorted(
        (n for n, row in table.rows.items() if not row.problem), key=lambda n: table.rate(n, texts)
    )
    rates = [table.rate(name, texts) for name in names]
    colours = [_COLOURS[PEERS[name].dtype] for name in names]
    bars = axes.barh(range(len(names)), rates, color=colours)
    for bar, name, rate in zip(bars, names, rates, strict=True):
        ratio, cosines = table.ratio(name, texts), table.rows[name].cosines
        label = f" {rate:,.0f}" + (f"   {ratio:.1f}×" if ratio else "")
        label += f"   cos {cosines[0]:.5f}" if cosines and name != REFERENCE else ""
        axes.text(rate, bar.get_y() + bar.get_height() / 2, label, va="center", fontsize=9)
        if not name.startswith("yuyi"):
            bar.set_alpha(0.55)
    axes.set_yticks(range(len(names)), names, fontsize=10)
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text().startswith("yuyi") else "normal")
    axes.set_xlim(0, max(rates, default=1) * 1.65)
    axes.set_title(table.model)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return name or "unknown processor"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(absent)"
