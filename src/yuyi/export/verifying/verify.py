"""Measuring the forms of a model beside it."""

from __future__ import annotations

import platform
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yuyi
from yuyi.encode.load import load
from yuyi.encode.static_folder import StaticModel
from yuyi.export.static_forms import write_table
from yuyi.export.verifying.answers import Standard, answer, encode
from yuyi.export.verifying.by_itself import graph_by_itself
from yuyi.export.verifying.in_javascript import run_in_javascript
from yuyi.export.verifying.timing import ROUNDS, measure_times
from yuyi.export.verifying.trial import too_long_text
from yuyi.machine import available_cores, processor_name
from yuyi.parity import Measured, Parity
from yuyi.progress import progress
from yuyi.train.starting.save import write_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.encode import Encoder
    from yuyi.export.form import Form
    from yuyi.export.settings import ExportSettings
    from yuyi.export.source import Source
    from yuyi.export.verifying.timing import Times
    from yuyi.export.verifying.trial import Trial
    from yuyi.progress import Done

_LIBRARIES = ("torch", "onnxruntime", "tokenizers")


def verify(
    folder: Path,
    source: Source,
    forms: Sequence[Form],
    trial: Trial,
    settings: ExportSettings,
    *,
    rounds: int = ROUNDS,
) -> Parity:
    """What was measured of the forms in a folder.

    A model that lost layers or pieces is measured first; cosines of its forms are those to it: the gate
    does not judge what was cut off on purpose. Graphs are compared by themselves as well.

    Args:
        folder: what holds the forms, not yet published.
        source: the model that was exported.
        forms: what was written of it.
        trial: texts, passages and pairs.
        settings: what was cut off, what the gate asks for, and where JavaScript is.
        rounds: number of measurements of each time.

    Raises:
        ModelError: a form cannot be opened or run, or gives vectors of another length than it should.
        InputError: JavaScript is asked for, and nothing runs it.
    """
    reference = source.reference
    trial = replace(trial, texts=(*trial.texts, too_long_text(reference, trial.texts)))
    asked = _asked(source, trial)
    cut = settings.smaller.layers is not None or settings.smaller.corpus is not None
    total = (1 + cut) * sum(each.size for each, _ in asked)
    total += sum(trial.size + form.is_graph * len(trial.texts) for form in forms)
    with progress("comparing", total=total) as count:
        models, standard, bare = _measure_models(source, asked, cut, rounds, count)
        rows = [*models[1:]]
        for form in forms:
            encoder = load(folder / form.folder, **form.options)  # type: ignore[arg-type]
            figures = _figures(encoder, folder, form, standard, bare, count)
            times = measure_times(encoder, folder / form.folder, form.options, trial.texts, rounds)
            rows.append(_form(folder, form, settings.least, "yuyi", figures, times))
    if settings.javascript is not None:
        prompt = reference.role_prompts[""] if bare.prompt is None else bare.prompt
        for form, runtime, own, times in run_in_javascript(folder, forms, bare, prompt, settings.javascript):
            figures = bare.figures(f"{form.target} run by {runtime}", own)
            rows.append(_form(folder, form, settings.least, runtime, figures, times))
    return Parity(
        reference.name, reference.fingerprint, models[0], tuple(rows), len(trial.texts),
        len(trial.passages), len(trial.pairs), _about(trial),
    )  # fmt: skip


def _asked(source: Source, trial: Trial) -> list[tuple[Trial, str | None]]:
    """What forms are asked, and last what graphs by themselves are, each with the prompt.

    A graph pools all tokens, so that it has no prompt where the model leaves prompts out of pooling.
    """
    with_prompt = (trial, None)
    return [with_prompt] if source.pools_prompts else [with_prompt, (replace(trial, passages=()), "")]


def _measure_models(
    source: Source, asked: list[tuple[Trial, str | None]], cut: bool, rounds: int, count: Done
) -> tuple[list[Measured], Standard, Standard]:
    """The whole model and what is left of it, and by what forms and graphs by themselves are judged."""
    reference, trial = source.reference, asked[0][0]
    standards = []
    for texts, prompt in asked:
        whole = answer(reference, texts, prompt, count)
        standards.append(Standard(texts, whole, whole, source.dim, prompt))
    name = f"{reference.backend_name} {reference.dtype}"
    models = [_model(reference, name, standards[0].itself(), trial, rounds)]
    if cut:
        with tempfile.TemporaryDirectory(prefix="yuyi-") as place:
            left = _open_left(source, Path(place) / "model")
            written = [answer(left, each.trial, each.prompt, count) for each in standards]
            figures = standards[0].figures("smaller", written[0])
            models.append(_model(left, "smaller", figures, trial, rounds))
        standards = [replace(each, written=own) for each, own in zip(standards, written, strict=True)]
    return models, standards[0], standards[-1]


def _figures(
    encoder: Encoder, folder: Path, form: Form, standard: Standard, bare: Standard, count: Done
) -> dict[str, Any]:
    """What `Measured` says of a form's vectors: of the engine's or the graph's own, whichever are farther."""
    own = answer(encoder, standard.trial, standard.prompt, count)
    figures = standard.figures(form.target, own, comparable=form.least is not None)
    if form.is_graph:
        vectors = encode(graph_by_itself(encoder, folder, form), bare.trial.texts, bare.prompt, count)
        near = bare.nearness(f"{form.target}, sentence_embedding", vectors)
        if not near["mean"] >= figures["mean"]:  # No number is not, either.
            figures |= near
    return figures


def _open_left(source: Source, folder: Path) -> Encoder:
    """What is left of a model, in float32, as its own folder gives it."""
    folder.mkdir()
    if isinstance(source.model, StaticModel):
        write_table(folder, source.model)
        return load(folder)
    write_model(folder, source.model, dims=source.dims[1:])
    return load(folder, backend="torch", device="cpu", dtype="float32")


def _form(
    folder: Path, form: Form, least: float | None, runtime: str, figures: dict[str, Any], times: Times
) -> Measured:
    """A form with what was measured of it, and what the gate asks of it."""
    return Measured(
        target=form.target,
        runtime=runtime,
        files=form.files,
        bytes=sum((folder / name).stat().st_size for name in form.files),
        least=form.least if form.least is None or least is None else least,
        facts=form.facts,
        **figures,
        **times,
    )


def _model(encoder: Encoder, name: str, figures: dict[str, Any], trial: Trial, rounds: int) -> Measured:
    """A model that is no form: the whole one, or what is left of it."""
    options = ("backend", "device", "dtype", "pooling")
    chosen = {option: value for option in options if (value := encoder.arguments[option]) is not None}
    times = measure_times(encoder, encoder.folder, chosen, trial.texts, rounds)
    # Of a token table, which is mapped, the encoder does not tell.
    tables = encoder.folder.rglob("*.safetensors")
    size = encoder.weight_bytes or sum(path.stat().st_size for path in tables)
    return Measured(target=name, runtime="yuyi", files=(), bytes=size, least=None, **figures, **times)


def _about(trial: Trial) -> dict[str, str]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": processor_name(),
        "cores": str(available_cores()),
        **trial.sources,
        "yuyi": yuyi.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }
