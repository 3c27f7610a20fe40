"""Measuring the forms of a model beside it."""

from __future__ import annotations

import platform
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from yuyi.encode.load import load
from yuyi.encode.sample import SAMPLE
from yuyi.export.verifying.parity import Measured, Parity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from yuyi.export.form import Form
    from yuyi.export.settings import ExportSettings
    from yuyi.export.source import Source


def verify(folder: Path, source: Source, forms: Sequence[Form], settings: ExportSettings) -> Parity:
    """What was measured of the forms in a folder.

    Args:
        folder: what holds the forms, not yet published.
        source: the model that was exported.
        forms: what was written of it.
        settings: texts, passages and pairs.
    """
    texts = list(SAMPLE)
    expected = source.reference.encode(texts)
    measured = []
    for form in forms:
        encoder = load(folder / form.folder, **form.options)  # type: ignore[arg-type]
        begin = time.perf_counter()
        found = encoder.encode(texts)
        seconds = time.perf_counter() - begin
        cosines = (expected * found).sum(axis=1)
        order = np.argsort(cosines)[:3]
        measured.append(
            Measured(
                form.target, "yuyi", form.files, sum((folder / name).stat().st_size for name in form.files),
                encoder.dim, float(cosines.mean()), float(cosines.min()), 1.0, 0.0, len(texts) / seconds, 0.0,
                form.least if settings.least is None else settings.least,
                tuple((texts[row], float(cosines[row])) for row in order), form.facts,
            )
        )  # fmt: skip
    whole = Measured("float32", "yuyi", (), 0, source.reference.dim, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, None)
    about = {"date": datetime.now(UTC).date().isoformat(), "machine": platform.processor()}
    return Parity(
        source.reference.name, source.reference.fingerprint, whole, tuple(measured), len(texts), 0, 0, about
    )
