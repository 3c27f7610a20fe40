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
from yuyi.export.verifying.answers import Standard, answer
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

    A model that lost layers or pieces is measured first, beside the whole one; cosines of its forms are those
    to it, so that the gate judges forms and not what was cut off on purpose.

    Args:
        folder: what holds the forms, not yet published.
        source: the model that was exported.
        forms: what was written of it.
        trial: texts, passages and pairs.
        settings: what was cut off, what the gate asks for, and where JavaScript is.
        rounds: number of measurements of each time.

    Raises:
        ModelError: a form cannot be opened or run.
        InputError: JavaScript is asked for, and nothing runs it.
    """
    reference, rows = source.reference, []
    trial = replace(trial, texts=(*trial.texts, too_long_text(reference, trial.passages)))
    cut = settings.smaller.layers is not None or settings.smaller.corpus is not None
    with progress("comparing", total=(1 + cut + len(forms)) * trial.size) as count:
        whole = answer(reference, trial, count)
        standard = Standard(trial, whole, whole, source.dim)
        first = _model(
            reference, f"{reference.backend_name} {reference.dtype}", standard.itself(), trial, rounds
        )
        if cut:
            with tempfile.TemporaryDirectory(prefix="yuyi-") as place:
                left = _open_left(source, Path(place) / "model")
                written = answer(left, trial, count)
                rows.append(_model(left, "smaller", standard.figures(written), trial, rounds))
            standard = replace(standard, written=written)
        for form in forms:
            encoder = load(folder / form.folder, **form.options)  # type: ignore[arg-type]
            figures = standard.figures(answer(encoder, trial, count), comparable=form.least is not None)
            times = measure_times(encoder, folder / form.folder, form.options, trial.texts, rounds)
            rows.append(_form(folder, form, settings.least, "yuyi", figures, times))
    if settings.javascript is not None:
        prompt = reference.role_prompts[""]
        for form, runtime, own, times in run_in_javascript(
            folder, forms, standard, prompt, settings.javascript
        ):
            figures = standard.figures(own, comparable=form.least is not None)
            rows.append(_form(folder, form, settings.least, runtime, figures, times))
    return Parity(
        reference.name, reference.fingerprint, first, tuple(rows), len(trial.texts), len(trial.passages),
        len(trial.pairs), _about(trial),
    )  # fmt: skip


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
        least=form.least if least is None else least,
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
