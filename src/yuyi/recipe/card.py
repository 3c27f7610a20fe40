"""The model card: a README that says what the model is, what it was made of, its scores and its limits."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from yuyi.evaluate import Result
    from yuyi.recipe.schema import Recipe
    from yuyi.train.config import Stage


def card_text(
    recipe: Recipe, file: str, pieces: int, pairs: Mapping[str, Any], scores: Sequence[Result] | None
) -> str:
    """The card as Markdown with the YAML head that model hubs read.

    Args:
        recipe: what made the model.
        file: name of the recipe's file.
        pieces: size of the vocabulary.
        pairs: the manifest of the prepared pairs: what was taken and dropped, by source.
        scores: the evaluation, or None where there was none.
    """
    sections = [
        _head(recipe),
        _what(recipe, pieces),
        _scores(scores),
        _limits(recipe),
        _training(recipe, file),
        _data(recipe, pairs),
    ]
    return "\n".join(section for section in sections if section)


def _head(recipe: Recipe) -> str:
    languages = "\n".join(f"- {language}" for language in recipe.languages)
    return (
        f"---\nlicense: {recipe.license.lower()}\nlanguage:\n{languages}\n"
        "pipeline_tag: sentence-similarity\ntags:\n- static-embeddings\n- matryoshka\n---\n"
    )


def _what(recipe: Recipe, pieces: int) -> str:
    dims = ", ".join(map(str, recipe.table.dims))
    return (
        f"# {recipe.name}\n\nA token table for text embeddings: a text is the mean of its pieces' vectors. "
        f"{pieces:,} pieces, int8 rows with a scale each; Matryoshka dimensions {dims} "
        "(cut, then normalise). It needs numpy and a tokenizer, no network and no accelerator.\n\n"
        f'```python\nimport yuyi\n\nmodel = yuyi.load("{recipe.name}")  # the path of this folder\n'
        'model.similarity(model.encode("胡子长得太快怎么办？"), model.encode("胡子长得快怎么办？"))\n```\n'
    )


def _scores(scores: Sequence[Result] | None) -> str:
    if scores is None:
        return ""
    from yuyi.evaluate.showing.report import markdown

    lines = [
        "## Scores\n",
        "Main scores x 100, as mteb's task classes compute them on local files; every setting is in "
        "`scores.json`. The evaluation texts were kept out of training (below). No set was held back from "
        "the choice of settings, so these figures are in-domain for the sets whose training split is listed "
        "below.\n",
        markdown(scores),
    ]
    fitted = [
        (result, metrics["accuracy_all_rows"])
        for result in scores
        for metrics in result.scores["test"].values()
        if "accuracy_all_rows" in metrics
    ]
    if fitted:
        lines.append(
            "Classification with one classifier fitted on all training rows instead of mteb's few:\n"
        )
        lines.append("| set | dim | accuracy |\n|---|---:|---:|")
        lines += [
            f"| {result.task} | {result.setting.dim} | {100 * accuracy:.2f} |" for result, accuracy in fitted
        ]
        lines.append("")
    return "\n".join(lines)


def _limits(recipe: Recipe) -> str:
    if not recipe.limits:
        return ""
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in recipe.limits) + "\n"


def _training(recipe: Recipe, file: str) -> str:
    config = recipe.table
    lines = ["## Training\n"]
    lines += [_stage_line(stage) for stage in config.stages]
    lines.append(
        f"\nSources are drawn in proportion to their size to the power {config.exponent}; a batch comes from "
        f"one source; texts are read up to {config.longest} tokens; seed {config.seed}. `yuyi run {file}` "
        "makes this model again; `provenance.json` holds the hashes of what went in."
    )
    if recipe.teacher:
        lines.append(
            f"\nTeacher ({', '.join(recipe.teacher.languages)}): {recipe.teacher.origin}, licence "
            f"{recipe.teacher.licence}; its vectors are rotated onto their principal axes."
        )
    return "\n".join(lines) + "\n"


def _stage_line(stage: Stage) -> str:
    total = sum(task.share for task in stage.tasks)
    tasks = ", ".join(f"{task.objective} {100 * task.share / total:.0f} %" for task in stage.tasks)
    rate = f"Adam at {stage.highest_rate} falling linearly"
    return f"- {stage.name}: {stage.steps:,} steps, {rate}; batches: {tasks or 'as the data has them'}."


def _data(recipe: Recipe, pairs: Mapping[str, Any]) -> str:
    sources: Mapping[str, Mapping[str, Any]] = pairs["sources"]
    reasons: Counter[str] = Counter()
    for counts in sources.values():
        reasons.update(counts["dropped"])
    lines = [
        f"## Data\n\n{pairs['rows']:,} pairs. Licences are as each origin states them; the texts themselves "
        "are not part of this model.\n",
        "| source | origin | licence |\n|---|---|---|",
    ]
    lines += [
        f"| {entry.path.rsplit('/', 1)[-1].removesuffix('.parquet')} | {entry.origin} | {entry.licence} |"
        for entry in (*recipe.documents, *recipe.pairs)
    ]
    by_source = ", ".join(f"{name} {counts['taken']:,}" for name, counts in sources.items())
    lines.append(f"\nPairs by source: {by_source}.")
    if reasons:
        by_reason = ", ".join(f"{name} {count:,}" for name, count in sorted(reasons.items()))
        lines.append(f"\nDropped, by reason: {by_reason}.")
    if recipe.left_out:
        lines.append("\nLeft out on purpose:\n")
        lines += [f"- {entry.path}: {entry.reason}" for entry in recipe.left_out]
    return "\n".join(lines) + "\n"
