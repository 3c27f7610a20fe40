"""The README.md of a model folder, from what the folder says, its results and the record of its training."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import is_sealed, publish_file, sealed
from yuyi.encode import load
from yuyi.errors import InputError, YuyiWarning
from yuyi.evaluate.cards.facts import check_results, read_facts, results_of
from yuyi.evaluate.cards.index import model_index
from yuyi.evaluate.cards.scores import sort_results
from yuyi.evaluate.cards.speed import measure_speed
from yuyi.evaluate.cards.text import card_body
from yuyi.evaluate.comparing.domain import read_trained
from yuyi.evaluate.linting.card import read_front_matter
from yuyi.evaluate.linting.index import some_names
from yuyi.evaluate.results import find_results
from yuyi.extras import require
from yuyi.known import find
from yuyi.layout import find_layout
from yuyi.parity import read_parity
from yuyi.training_record import TRAINING, Training, read_training

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from yuyi.evaluate.cards import Language, Shape
    from yuyi.evaluate.cards.facts import Facts
    from yuyi.evaluate.results import Result

CARD = "README.md"

# What the card that is replaced may say and nothing else does.
_KEPT = ("license", "license_name", "license_link", "language", "base_model", "datasets")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_DATASET = re.compile(r"(?:https?://)?(?:huggingface\.co|hf\.co)/datasets/([\w.-]+/[\w.-]+)", re.ASCII)


def write_card(
    folder: Path,
    results: Path,
    *,
    name: str = "",
    out: Path | None = None,
    force: bool = False,
    shape: Shape = "mteb1",
    language: Language = "en",
    speed: bool = False,
) -> Path:
    """The card that was written: README.md in the model's folder, whole or not at all.

    Args:
        folder: of the model.
        results: what `yuyi evaluate --results` wrote about it; results of other models are left out.
        name: of the model on the hub, OWNER/NAME; without it, that of the folder.
        out: where to write instead.
        force: replace a card that somebody wrote or edited, too. Of its front matter, licence, language, base
            model and data sets stay where nothing else says them; what else it told of training data is lost
            without a `training.json`, with a warning.
        shape: of the key `model-index`.
        language: of the prose.
        speed: measure how many texts the model encodes in a second here.

    Raises:
        ModelError: the folder holds no model, or a file of it is damaged.
        InputError: there are no results, or none is of this model, the name is none of the hub's, or a card
            is there that yuyi did not write.
        MissingExtra: PyYAML is not installed.
    """
    require("card")
    if name and not _NAME.fullmatch(name):
        raise InputError(
            f"--name {name}: not the name of a model on the hub. Write OWNER/NAME, each of "
            "letters a to z, digits, - _ . only."
        )
    find_layout(folder)
    path = out or folder / CARD
    before = _before(path, force) or _head(folder / CARD)
    own = _own(folder, results)
    text = make_card(folder, own, name=name, before=before, shape=shape, language=language, speed=speed)
    told = _sources(folder)
    with publish_file(path) as temporary:
        temporary.write_text(text, "utf-8")
    if lost := sorted(told - _sources(folder)):
        warnings.warn(
            f"{path}: the card before told of training on {some_names(lost)}, and nothing in the folder does "
            f"now. Write them into {folder / TRAINING}, so that the next card tells in-domain tasks.",
            YuyiWarning,
            2,
        )
    return path


def make_card(
    folder: Path,
    results: Sequence[Result],
    *,
    name: str = "",
    before: Mapping[str, Any] | None = None,
    shape: Shape = "mteb1",
    language: Language = "en",
    speed: bool = False,
) -> str:
    """The text of a model's card; without results it has no scores and no `model-index`.

    Args:
        folder: of the model.
        results: of that model, under one setting or several.
        name: what to call the model; without it, as its folder.
        before: front matter of a card that is replaced.
        shape: of the key `model-index`.
        language: of the prose.
        speed: measure how many texts the model encodes in a second here.

    Raises:
        ModelError: the folder holds no model, or a file of it is damaged.
        InputError: the results are of another model or of several.
        MissingExtra: PyYAML is not installed.
    """
    require("card")
    scores = sort_results(results, shape) if results else None
    encoder = load(folder)
    for run in scores.runs if scores else ():
        check_results(folder, encoder, run.results.values())
    training = read_training(folder)
    facts = _completed(read_facts(folder, encoder), training, before or {})
    called = name or folder.resolve().name
    head = _front_matter(facts, training, before or {}, scored=scores is not None)
    if scores:
        head["model-index"] = model_index(called, scores.main.results.values(), shape)
    measured = measure_speed(encoder) if speed else None
    body = card_body(
        called, facts, scores, training, _sources(folder), measured, read_parity(folder), language, shape
    )
    return sealed(f"---\n{_yaml(head)}---\n\n{body}")


def _own(folder: Path, results: Path) -> list[Result]:
    """Those results in a folder of results that are of the model, which all are where they are of one.

    Raises:
        InputError: there are none; the message names where the results of others lie.
    """
    found = find_results(results)
    others = {(result.model.name, result.model.fingerprint): path for path, result in found.items()}
    if len(others) == 1:
        return list(found.values())
    encoder = load(folder)
    own = results_of(folder, encoder, found.values())
    for result in own:
        others.pop((result.model.name, result.model.fingerprint), None)
    named = some_names(
        f"{path.parent} ({name} {fingerprint[:12]})" for (name, fingerprint), path in others.items()
    )
    if not own:
        raise InputError(
            f"{folder}: its fingerprint is {encoder.fingerprint[:12]}, and {results} holds results of other "
            f"models alone: {named}. Evaluate this folder, or give its own results."
        )
    if {result.model.name for result in own} & {name for name, _ in others}:
        warnings.warn(
            f"{results}: results of other weights or settings than {folder} has are left out: {named}.",
            YuyiWarning,
            2,
        )
    return own


def _before(path: Path, force: bool) -> dict[str, Any]:
    """The front matter of the card that is there, as far as it has any.

    Raises:
        InputError: somebody else wrote or edited it, and `force` does not say to replace it.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Choose another place with -o.") from error
    if not is_sealed(text) and not force:
        raise InputError(
            f"{path}: yuyi did not write it, or it was edited since. Choose another place with -o, or "
            "replace it with --force."
        )
    return _head(path)


def _head(path: Path) -> dict[str, Any]:
    """The front matter of a card; empty where there is none."""
    try:
        return read_front_matter(path)[0]
    except InputError:
        return {}


def _sources(folder: Path) -> frozenset[str]:
    """Names of what the model was trained on; none where nothing in the folder tells."""
    try:
        return read_trained(folder).sources
    except InputError:
        return frozenset()


def _completed(facts: Facts, training: Training | None, before: Mapping[str, Any]) -> Facts:
    """The facts with languages and licence from where somebody said them, first of all in the folder."""
    told = before.get("language", ())
    languages = (told,) if isinstance(told, str) else tuple(told)
    made = training or Training()
    license_ = facts.license or made.license or str(before.get("license", ""))
    return replace(facts, languages=facts.languages or made.languages or languages, license=license_.lower())


def _front_matter(
    facts: Facts, training: Training | None, before: Mapping[str, Any], *, scored: bool
) -> dict[str, Any]:
    """What hubs read, without the results."""
    before = {key: before[key] for key in _KEPT if key in before}
    start = find(training.start) if training and training.start else None
    origins = [source.origin for source in training.sources] if training else []
    datasets = [match[1] for origin in origins if (match := _DATASET.match(origin))]
    told: dict[str, Any] = {
        "language": list(facts.languages),
        "license": facts.license,
        "library_name": "sentence-transformers" if facts.opens_elsewhere else "yuyi",
        "pipeline_tag": "sentence-similarity",
        "tags": [
            *(["sentence-transformers"] if facts.opens_elsewhere else []),
            "feature-extraction",
            "sentence-similarity",
            *(["static-embeddings"] if facts.is_table else []),
            *(["matryoshka"] if len(facts.dims) > 1 else []),
            *(["mteb"] if scored else []),
        ],
        "base_model": start.id if start else "",
        "datasets": list(dict.fromkeys(datasets)),
    }
    return {**before, **{key: value for key, value in told.items() if value}}


def _yaml(values: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=1_000)
