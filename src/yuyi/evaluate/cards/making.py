"""How a model was made, as its card tells it: what nobody recorded is not spoken of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.markdown import table
from yuyi.records import DOCUMENT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from yuyi.training_record import Source, Stage, Training


def how_trained(training: Training | None, words: Mapping[str, str]) -> str:
    """The section on start, teacher and stages; empty where no stage is known."""
    if training is None or not training.stages:
        return ""
    lines = [f"## {words['training']}\n"]
    if training.start is not None:
        lines.append(words["started"].format(name=training.start) if training.start else words["fresh"])
    if name := training.teacher.get("name"):
        licence = training.teacher.get("licence")
        told = words["licence of"].format(licence=licence) if licence else ""
        lines.append(words["teacher"].format(name=name, licence=told))
    lines.append("")
    several = len({stage.run for stage in training.stages}) > 1
    for stage in training.stages:
        run = f"{stage.run}, " if several and stage.run not in ("", stage.name) else ""
        lines.append(f"- {run}{_stage(stage, words)}")
    lines.append("")
    if "exponent" in training.settings:
        lines.append(words["drawn"].format(exponent=training.settings["exponent"]))
    further = {key: value for key, value in training.settings.items() if key != "exponent"}
    if further:
        values = words["comma"].join(f"{key} {value}" for key, value in further.items())
        lines.append(words["settings"].format(values=values))
    if training.yuyi:
        lines.append(words["trained with"].format(yuyi=training.yuyi))
    lines += [f"\n{note}" for note in training.notes]
    return "\n".join(lines) + "\n"


def _stage(stage: Stage, words: Mapping[str, str]) -> str:
    told = [
        words["steps"].format(count=stage.steps) if stage.steps is not None else "",
        words["rate"].format(rate=stage.learning_rate) if stage.learning_rate is not None else "",
    ]
    tasks = [
        each.objective
        + (words["share"].format(percent=percent) if percent is not None else "")
        + (words["batch"].format(count=each.batch) if each.batch is not None else "")
        for each, percent in zip(stage.tasks, stage.percents, strict=True)
    ]
    parts = [stage.name, words["clause"].join(filter(None, told)), words["comma"].join(tasks)]
    return words["colon"].join(filter(None, parts))


def what_data(training: Training | None, words: Mapping[str, str]) -> str:
    """The section on sources and what was left out of them; empty where neither is known."""
    if training is None or not (training.sources or training.documents):
        return ""
    lines = [f"## {words['data']}\n"]
    if training.sources:
        counted = _count(source.rows for source in training.sources)
        total = words["total"].format(rows=counted) if counted else ""
        lines += [total + words["licences"] + "\n", _sources(training, words)]
    comma = words["comma"]
    if training.documents:
        lines.append(words["documents"].format(names=comma.join(training.documents)) + "\n")
    if training.dropped:
        reasons = comma.join(
            f"{_reason(reason, words)} {count:,}" for reason, count in sorted(training.dropped.items())
        )
        lines.append(words["dropped"].format(reasons=reasons) + "\n")
    if training.left_out:
        listed = "".join(
            f"- {each.get('path', '')}{words['colon']}{each.get('reason', '')}\n"
            for each in training.left_out
        )
        lines += [words["left out"] + "\n", listed]
    return "\n".join(lines)


def _sources(training: Training, words: Mapping[str, str]) -> str:
    """A line for each source, whatever kinds of pairs it has."""
    grouped: dict[tuple[str, str, str], list[Source]] = {}
    for each in training.sources:
        grouped.setdefault((each.name, each.origin, each.licence), []).append(each)
    columns: dict[str, Callable[[list[Source]], str]] = {
        "source": lambda group: group[0].name,
        "kind": lambda group: ", ".join(sorted({each.kind for each in group} - {""})),
        "origin": lambda group: group[0].origin or words["unstated"],
        "licence": lambda group: _recorded(group[0].licence, words) or words["unstated"],
        "rows": lambda group: _count(each.rows for each in group),
    }
    told = {
        words[key]: cells
        for key, cell in columns.items()
        if any(cells := [cell(group) for group in grouped.values()])
    }
    left = len(told) - (words["rows"] in told)
    return table(list(told), zip(*told.values(), strict=True), left=left)


def _reason(text: str, words: Mapping[str, str]) -> str:
    """Why something was dropped, in the card's language as far as the reason is yuyi's own."""
    reason = text.removeprefix(DOCUMENT_PREFIX)
    prefix = words[f"recorded {DOCUMENT_PREFIX}"] if reason != text else ""
    return prefix + _recorded(reason, words)


def _recorded(text: str, words: Mapping[str, str]) -> str:
    return words.get(f"recorded {text}", text)


def _count(rows: Iterable[int | None]) -> str:
    """The sum; empty where it is unknown of one."""
    every = list(rows)
    known = [count for count in every if count is not None]
    return f"{sum(known):,}" if known and len(known) == len(every) else ""
