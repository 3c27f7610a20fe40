"""What scores on a page depend on: settings, training data, test data, versions, and the commands."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

from yuyi.evaluate.averages import is_just
from yuyi.evaluate.comparing.sheet import tasks_of
from yuyi.evaluate.linting.index import is_commit
from yuyi.evaluate.showing.setting_line import said_prompts
from yuyi.evaluate.suites import all_suites
from yuyi.page import head, safe, table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from yuyi.evaluate.comparing.columns import Column
    from yuyi.evaluate.comparing.domain import Trained
    from yuyi.evaluate.comparing.sheet import Sheet
    from yuyi.evaluate.results import Result, Setting
    from yuyi.evaluate.suites import Task

_PROMPTS = {"query": "--query-prompt", "document": "--document-prompt", "": "--prompt"}
_SETTINGS: Mapping[str, tuple[str, Callable[[Column], str]]] = {
    "model": ("模型", lambda column: column.model),
    "fingerprint": ("指纹", lambda column: column.first.model.fingerprint[:16]),
    "dimension": ("维度", lambda column: f"{column.first.setting.dim} of {column.first.model.dim}"),
    "number type": ("数值类型", lambda column: column.first.setting.dtype),
    "longest text": ("最大长度", lambda column: _length(column.first.setting)),
    "longer texts": ("超长处理", lambda column: column.first.setting.overflow),
    "prompts": ("提示词", lambda column: said_prompts(column.first.setting) or "none"),
    "pooling": ("池化", lambda column: column.first.setting.pooling),
    "vectors": ("向量", lambda column: "unit length" if column.first.setting.normalize else "as they come"),
    "engine": ("引擎", lambda column: column.first.setting.backend),
    "device": ("设备", lambda column: column.first.setting.device),
    "seed": ("种子", lambda column: str(column.first.seed)),
    "made": ("时间", lambda column: _made(column)),
    "took": ("用时", lambda column: f"{sum(each.seconds for each in column.results.values()):,.0f} s"),
}


def settings(shown: Sequence[Column]) -> str:
    """A row for each setting, a column for each column of results; what all have stands there once."""
    own = [column for column in shown if column.results]
    first = head(("", ""), *(("<br>".join(map(safe, column.parts)), "") for column in own))
    rows = [
        f'<tr><td class="dim kind">{name} <span lang="zh">{chinese}</span></td>'
        f"{_once([tell(column) for column in own])}</tr>"
        for name, (chinese, tell) in _SETTINGS.items()
    ]
    return f'<div class="card"><table>{first}{"".join(rows)}</table></div>'


def _once(values: Sequence[str]) -> str:
    """Cells of values; a single one where they are all the same."""
    if len(set(values)) == 1:
        return f'<td class="value" colspan="{len(values)}">{safe(values[0], 400) or "–"}</td>'
    return "".join(f'<td class="value">{safe(value, 400) or "–"}</td>' for value in values)


def training(sheet: Sheet, trained: Mapping[str, Trained]) -> str:
    """In-domain tasks of each model, and what its training data showed of evaluation sets."""
    tasks = tasks_of(sheet.columns)
    models = dict.fromkeys(column.model for column in sheet.columns if column.results)
    cards = []
    for model in models:
        if model not in trained:
            continue
        told = trained[model]
        parts = zip(("In-domain", "Zero-shot", "Not told"), told.parts(tasks.values()), strict=True)
        lines = "".join(
            f"<br>{name}: {', '.join(safe(result.label) for result in part)}." for name, part in parts if part
        )
        rows = [
            f'<tr><td class="name">{safe(name)}</td><td class="num">{overlap.found:,}</td>'
            f'<td class="num">{overlap.found - overlap.kept:,}</td><td class="num">{overlap.kept:,}</td></tr>'
            for name, result in tasks.items()
            if (overlap := told.overlap(result.task))
        ]
        first = head(
            ("pairs that showed a text of <i>出现评测文本的训练句对</i>", ""),
            ("found <i>发现</i>", "num"),
            ("dropped <i>剔除</i>", "num"),
            ("kept <i>保留</i>", "num"),
        )
        cards.append(
            f'<div class="card"><h3>{safe(model)}</h3><p>{len(told.sources):,} names of training sources are '
            "declared. Not told: a task that lists no source of its data, or whose name a declared source "
            'begins with. <span lang="zh">未列出数据来源，或名称是某个训练来源开头的任务，无法判断。</span>'
            f"{lines}</p>"
            f"{table(first, rows) if rows else ''}</div>"
        )
    return "".join(cards)


def data(sheet: Sheet) -> str:
    """Splits, number of rows and version of each task's data."""
    rows = [
        f'<tr><td class="name">{safe(name)}</td><td class="dim">{safe(", ".join(result.scores))}</td>'
        f'<td class="dim">{safe(", ".join(_languages(result)))}</td><td class="num">{result.rows:,}</td>'
        f"<td><code>{safe(result.data[:16])}</code></td></tr>"
        for name, result in tasks_of(sheet.columns).items()
    ]
    first = head(
        ("task <i>任务</i>", ""),
        ("splits <i>划分</i>", ""),
        ("languages <i>语言</i>", ""),
        ("rows <i>行数</i>", "num"),
        ("commit or digest <i>版本</i>", ""),
    )
    return f'<div class="card">{table(first, rows)}</div>'


def versions(shown: Sequence[Column]) -> str:
    """The libraries that decided the figures; several versions where results are of several."""
    found: dict[str, set[str]] = {}
    for column in shown:
        for result in column.results.values():
            for name, version in result.versions.items():
                found.setdefault(name, set()).add(version)
    told = " · ".join(
        f"{safe(name)} {safe(' and '.join(sorted(each)))}" for name, each in sorted(found.items())
    )
    return f'<div class="card">{told}</div>' if told else ""


def reproduce(shown: Sequence[Column]) -> str:
    """The commands that give these results again, one for settings that differ in the dimension alone."""
    groups: dict[str, tuple[int, list[int]]] = {}
    for column in shown:
        for tasks in _tasks(column.results.values()):
            model, dim = column.first.model, column.first.setting.dim
            asked = f"yuyi evaluate {_options(column.first)} {tasks}"
            groups.setdefault(asked, (model.dim, []))[1].append(dim)
    lines = []
    for asked, (whole, dims) in groups.items():
        cut = "" if dims == [whole] else f" --dim {','.join(map(str, sorted(dims, reverse=True)))}"
        lines.append(f"{asked}{cut} --results RESULTS")
    return f'<div class="card"><pre>{safe(chr(10).join(lines), 20_000)}</pre></div>'


def _options(result: Result) -> str:
    """Model and settings as options, without the dimension."""
    setting, name = result.setting, shlex.quote(result.model.name)
    parts = [f"--endpoint URL --model {name}" if setting.backend == "endpoint" else name]
    if setting.backend != "static":
        parts += [f"--dtype {setting.dtype}"] if setting.dtype else []
        # Poolings that are put together are the folder's own.
        parts += [f"--pooling {setting.pooling}"] if setting.pooling and "+" not in setting.pooling else []
        parts += [f"--device {setting.device}"] if setting.device not in ("", "cpu") else []
    if setting.max_length:
        parts.append(f"--max-length {setting.max_length}")
    if setting.overflow not in ("", "cut"):
        parts.append(f"--overflow {setting.overflow}")
    if setting.prompts.keys() <= _PROMPTS.keys():  # Others are the model's own, which it uses anyway.
        parts += [f"{_PROMPTS[role]} {shlex.quote(text)}" for role, text in setting.prompts.items() if text]
    if not setting.normalize:
        parts.append("--raw")
    return " ".join(parts)


def _tasks(results: Collection[Result]) -> list[str]:
    """How tasks are asked for: by suite, by mteb's name, or by folder."""
    asked, left = [], list(results)
    # Whole suites first: a task may be the same in several.
    for whole in (True, False):
        for suite in all_suites():
            found = [result for result in left if any(map(partial(_counts, result), suite.tasks))]
            if found and whole is (len(found) == len(suite.tasks)):
                names = "" if whole else _named(found)
                asked.append(f"--suite {shlex.quote(suite.name)}{names}")
                left = [result for result in left if result not in found]
    named = [result for result in left if is_commit(result.data)]
    if named:
        asked.append(_named(named).lstrip())
    return [*asked, "--data FOLDER"] if len(named) < len(left) else asked


def _counts(result: Result, task: Task) -> bool:
    """Whether the suite of a task scores just what this result did."""
    return result.metric == task.metric and is_just(result, task)


def _named(results: Sequence[Result]) -> str:
    return "".join(f" --task {shlex.quote(name)}" for name in sorted({result.task for result in results}))


def _languages(result: Result) -> list[str]:
    return sorted({language for languages in result.languages.values() for language in languages})


def _length(setting: Setting) -> str:
    return "any" if setting.max_length is None else f"{setting.max_length:,} tokens"


def _made(column: Column) -> str:
    """The day and minute of the last result, UTC."""
    return max(result.made for result in column.results.values())[:16].replace("T", " ") + " UTC"
