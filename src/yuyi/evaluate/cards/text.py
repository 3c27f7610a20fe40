"""The text of a card: what the model is, how to use it, its scores, how it was made, what it cannot do."""

from __future__ import annotations

import json
from statistics import fmean
from typing import TYPE_CHECKING, Any

from yuyi.evaluate.cards.forms import forms_section
from yuyi.evaluate.cards.making import how_trained, what_data
from yuyi.evaluate.cards.scores import mean_of, same_but_dim
from yuyi.evaluate.cards.usage import usage
from yuyi.evaluate.cards.words import WORDS
from yuyi.evaluate.comparing.domain import by_domain
from yuyi.evaluate.linting.index import is_commit
from yuyi.evaluate.suites import all_suites
from yuyi.evaluate.tasks.kinds import ALL_ROWS
from yuyi.markdown import table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from yuyi.evaluate.cards import Language, Shape
    from yuyi.evaluate.cards.facts import Facts
    from yuyi.evaluate.cards.scores import Run, Scores
    from yuyi.evaluate.cards.speed import Speed
    from yuyi.evaluate.linting.index import Convention
    from yuyi.evaluate.results import Result, Setting
    from yuyi.evaluate.suites import Suite
    from yuyi.parity import Parity
    from yuyi.training_record import Training

# So many digits of a fingerprint are enough to tell models apart.
_SHORT = 16


def card_body(
    name: str,
    facts: Facts,
    scores: Scores | None,
    training: Training | None,
    sources: Collection[str],
    speed: Speed | None,
    parity: Parity | None,
    language: Language,
    shape: Shape,
) -> str:
    """The card as Markdown, without its front matter.

    Args:
        name: what the card calls the model: OWNER/NAME of the hub, or the name of its folder.
        facts: what its folder says.
        scores: its results; None for none.
        training: how it was made; None where that is not known.
        sources: names of what it was trained on; none where that is not known.
        speed: how fast it is; None where it was not measured.
        parity: what its forms cost; None where it was not exported.
        language: of the prose.
        shape: of the index in its front matter.
    """
    words = WORDS[language]
    sections = [
        f"# {name.rpartition('/')[2]}\n\n{words['table' if facts.is_table else 'transformer']}\n",
        _facts(facts, words),
        f"## {words['usage']}\n\n{usage(facts, name, words)}",
        _scores(name, facts, scores, sources, words, shape) if scores else "",
        _speed(speed, words),
        forms_section(parity, words),
        how_trained(training, words),
        what_data(training, words),
        _limits(facts, training, words),
    ]
    return "\n".join(section for section in sections if section)


def _facts(facts: Facts, words: Mapping[str, str]) -> str:
    dims = ", ".join(map(str, facts.dims))
    rows = {
        "architecture": facts.architecture,
        "layers": facts.layers or "",
        "hidden": facts.hidden or "",
        "vocabulary": words["pieces"].format(count=facts.vocabulary),
        "parameters": f"{facts.parameters:,}" if facts.parameters else "",
        "dimensions": words["cut"].format(dims=dims) if len(facts.dims) > 1 else dims,
        "longest": _tokens(facts.max_tokens, words),
        "pooling": " + ".join(facts.pooling),
        "heads": words["comma"].join(facts.heads),
        "languages": _languages(facts.languages, words),
        "license": facts.license,
    }
    listed = [(words[key], value) for key, value in rows.items() if value]
    for key, text in facts.prompts.items():
        listed.append((words["prompt"].format(name=key), _quoted(text, words)))
    return table((words["fact"], words["value"]), listed, left=2)


def _scores(
    name: str,
    facts: Facts,
    scores: Scores,
    sources: Collection[str],
    words: Mapping[str, str],
    shape: Shape,
) -> str:
    main = scores.main
    first = next(iter(main.results.values()))
    parts = [
        f"## {words['scores']}\n",
        words["percent"].format(mteb=first.versions.get("mteb", ""), index=words[f"index {shape}"]) + "\n",
        words["setting"] + "\n",
        _setting(main, facts, words),
    ]
    for convention in main.averages:
        parts.append(_averages(name, convention, scores, words))
    parts.append(f"### {words['by task']}\n\n" + _by_task(scores, sources, words))
    parts.append(_domains(main, sources, words))
    parts.append(_on_all_rows(scores, words))
    if not all(map(is_commit, {result.data for result in main.results.values()})):
        parts.append(words["local"] + "\n")
    return "\n".join(part for part in parts if part)


def _setting(run: Run, facts: Facts, words: Mapping[str, str]) -> str:
    """What decided the figures, as a list."""
    setting, results = run.setting, list(run.results.values())
    comma, colon = words["comma"], words["colon"]
    prompts = [
        words["prompt of role"].format(role=words.get(f"role {role}", role), text=_quoted(text, words))
        for role, text in setting.prompts.items()
        if text
    ]
    days = sorted({result.made[:10] for result in results})
    rows = {
        "fingerprint": f"`{results[0].model.fingerprint[:_SHORT]}`",
        "arithmetic": words["on"].format(dtype=setting.dtype, backend=setting.backend, device=setting.device),
        "read": _tokens(setting.max_length, words)
        + (words["clause"] + words[f"overflow {setting.overflow}"] if setting.max_length else ""),
        "pooling": setting.pooling or " + ".join(facts.pooling),
        "prompts": comma.join(prompts) or words["no prompt"],
        "scaled": words["yes" if setting.normalize else "no"],
        "seed": comma.join(str(seed) for seed in sorted({result.seed for result in results})),
        "versions": _versions(results),
        "made": " – ".join(dict.fromkeys((days[0], days[-1]))),
    }
    return "".join(f"- {words[key]}{colon}{value}\n" for key, value in rows.items())


def _versions(results: Sequence[Any]) -> str:
    found: dict[str, set[str]] = {}
    for result in results:
        for name, version in result.versions.items():
            found.setdefault(name, set()).add(version)
    return ", ".join(f"{name} {'/'.join(sorted(found[name]))}" for name in sorted(found))


def _averages(name: str, convention: Convention, scores: Scores, words: Mapping[str, str]) -> str:
    """A row for each setting that has a figure for the same tasks."""
    suite = convention.suite
    counts = {kind: len(tasks) for kind, tasks in suite.by_type().items()}
    whole = [
        (run.setting, found.averages)
        for run in scores.runs
        for found in run.averages
        if found.pair_metric == convention.pair_metric and _tasks(found.suite) == _tasks(suite)
    ]
    settings = _columns([setting for setting, _ in whole], words)
    rows = [
        [name.rpartition("/")[2], *(show(setting) for show in settings.values()), f"{averages.overall:.2f}"]
        + [f"{averages.by_type[kind]:.2f}" for kind in counts]
        for setting, averages in whole
    ]
    heading = [
        words["model"],
        *settings,
        words["average"].format(count=suite.size),
        *(words["type"].format(type=words.get(kind, kind), count=count) for kind, count in counts.items()),
    ]
    title = suite.name if suite in all_suites() else words["own suite"].format(count=suite.size)
    by = ""
    if "PairClassification" in counts and suite in all_suites():
        by = words["pairs by"].format(metric=f"`{convention.pair_metric}`") + "\n\n"
    return f"### {title}\n\n{by}{table(heading, rows)}"


def _tasks(suite: Suite) -> tuple[str, set[tuple[str, str]]]:
    """What has to be the same for averages to be compared: whose tasks they are, names and types."""
    return suite.name, {(task.name, task.type) for task in suite.tasks}


def _columns(settings: Sequence[Setting], words: Mapping[str, str]) -> dict[str, Callable[[Setting], str]]:
    """What tells settings apart: always the dimension, and what else is not the same for all."""
    ways: dict[str, Callable[[Setting], str]] = {
        words["dim"]: lambda setting: str(setting.dim),
        words["dtype"]: lambda setting: setting.dtype,
        words["read to"]: lambda setting: str(setting.max_length or words["any"]),
        words["prompted"]: lambda setting: words["comma"].join(
            f"`{text}`" for text in setting.prompts.values() if text
        ),
        words["longer"]: lambda setting: setting.overflow,
        words["unit"]: lambda setting: words["yes" if setting.normalize else "no"],
        words["pooling"]: lambda setting: setting.pooling,
        words["engine"]: lambda setting: setting.backend,
        words["device"]: lambda setting: setting.device,
    }
    differing = {title: way for title, way in ways.items() if len({way(each) for each in settings}) > 1}
    return {words["dim"]: ways[words["dim"]], **differing}


def _by_task(scores: Scores, sources: Collection[str], words: Mapping[str, str]) -> str:
    runs = same_but_dim(scores)
    domains = by_domain(scores.main.results.values(), sources)
    answers = dict(zip(("yes", "no", "not told"), domains, strict=True))
    said = {result.label: words[answer] for answer, results in answers.items() for result in results}
    domain = [words["domain"]] if sources else []
    rows = []
    for task, result in scores.main.results.items():
        figures = [f"{100 * run.results[task].main_score:.2f}" if task in run.results else "" for run in runs]
        told = [said[task]] if sources else []
        rows.append([task, words.get(result.type, result.type), result.metric, *told, *figures])
    dims = [str(run.setting.dim) for run in runs]
    heading = [words["task"], words["kind of task"], words["metric"], *domain, *dims]
    return table(heading, rows, left=len(heading) - len(dims))


def _domains(run: Run, sources: Collection[str], words: Mapping[str, str]) -> str:
    if not sources:
        return words["no domain"] + "\n"
    parts = zip(("in-domain", "zero-shot", "untold"), by_domain(run.results.values(), sources), strict=True)
    return "".join(
        words[key].format(count=len(results), mean=mean_of(results)) + "\n"
        for key, results in parts
        if results
    )


def _on_all_rows(scores: Scores, words: Mapping[str, str]) -> str:
    """What one classifier fitted on all training rows reaches, for tasks that were asked for it."""
    runs = same_but_dim(scores)
    rows = []
    for task in scores.main.results:
        figures = [_fitted(run.results[task]) if task in run.results else "" for run in runs]
        if any(figures):
            rows.append([task, *figures])
    if not rows:
        return ""
    heading = [words["task"], *(str(run.setting.dim) for run in runs)]
    return f"### {words['all rows']}\n\n{words['fitted']}\n\n{table(heading, rows)}"


def _fitted(result: Result) -> str:
    found = [
        metrics[ALL_ROWS]
        for subsets in result.scores.values()
        for metrics in subsets.values()
        if ALL_ROWS in metrics
    ]
    return f"{100 * fmean(found):.2f}" if found else ""


def _speed(speed: Speed | None, words: Mapping[str, str]) -> str:
    if speed is None:
        return ""
    machine = speed.machine
    if speed.cores is not None:
        machine = words["cores"].format(machine=machine, count=speed.cores)
    told = words["measured"].format(
        texts=speed.texts,
        tokens=speed.tokens,
        rounds=speed.rounds,
        dtype=speed.dtype,
        backend=speed.backend,
        machine=machine,
    )
    return f"## {words['speed']}\n\n{told}\n"


def _limits(facts: Facts, training: Training | None, words: Mapping[str, str]) -> str:
    told = _known_limits(facts, training, words)
    # Makers may have said the same in the other language.
    said = {each for other in WORDS.values() for each in _known_limits(facts, training, other)}
    told += [each for each in (training.limits if training else ()) if each not in said]
    return f"## {words['limits']}\n\n" + "".join(f"- {each}\n" for each in dict.fromkeys(told))


def _known_limits(facts: Facts, training: Training | None, words: Mapping[str, str]) -> list[str]:
    """The limits that follow from the facts."""
    told = [words["limit cosines"]]
    if facts.max_tokens:
        told.append(words["limit length"].format(count=facts.max_tokens))
    longest = training.settings.get("longest") if training else None
    if facts.max_tokens and isinstance(longest, int) and longest < facts.max_tokens:
        told.append(words["limit trained"].format(count=longest))
    if facts.is_table:
        told.append(words["limit order"])
    if facts.languages:
        told.append(words["limit languages"].format(languages=_in_words(facts.languages, words)))
    if len(facts.dims) == 1:
        told.append(words["limit dims"].format(dims=facts.dims[0]))
    return told


def _tokens(count: int | None, words: Mapping[str, str]) -> str:
    return words["any"] if count is None else words["tokens"].format(count=count)


def _languages(codes: Iterable[str], words: Mapping[str, str]) -> str:
    return words["comma"].join(words.get(code, code) for code in codes)


def _in_words(codes: Sequence[str], words: Mapping[str, str]) -> str:
    """The languages as a sentence has them: "Chinese, English and French"."""
    some, last = _languages(codes[:-1], words), _languages(codes[-1:], words)
    return some + words["and"] + last if some else last


def _quoted(text: str, words: Mapping[str, str]) -> str:
    return f"`{json.dumps(text, ensure_ascii=False)}`" if text else words["no prompt"]
