"""ONNX forms run by Transformers.js, where a runtime for it is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from yuyi.export.form import DTYPES
from yuyi.export.javascript.run import embed, find_runtimes
from yuyi.export.verifying.answers import Answers, compare_pairs
from yuyi.export.verifying.timing import Times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from yuyi.export.form import Form
    from yuyi.export.verifying.answers import Standard

# The WebAssembly that runs in a page without WebGPU has no products in float16.
_NOT_HERE = (("chromium", "fp16"),)


def run_in_javascript(
    folder: Path, forms: Sequence[Form], standard: Standard, prompt: str, modules: Path
) -> Iterator[tuple[Form, str, Answers, Times]]:
    """Each form with each runtime that can run it: the form, the runtime, what it gave, and how fast.

    Passages are left out, which would take minutes one by one.

    Args:
        folder: what holds the forms.
        forms: all of them; those that are no ONNX are passed over.
        standard: of the trial.
        prompt: what the model puts before every text.
        modules: a folder with `node_modules/@huggingface/transformers`.

    Raises:
        InputError: there is no such folder, or nothing that runs it.
        ModelError: a form cannot be run.
    """
    trial = standard.trial
    texts = [prompt + text for text in (*trial.texts, *trial.pair_texts)]
    for runtime in find_runtimes(modules):
        for form in forms:
            dtype = DTYPES.get(form.target)
            if dtype is None or (runtime, dtype) in _NOT_HERE:
                continue
            done = embed(runtime, folder / form.folder, dtype, texts, modules)
            vectors, pairs = np.split(done.vectors, [len(trial.texts)])
            own = Answers(vectors, compare_pairs(pairs), None)
            times = Times(texts_per_second=done.texts_per_second, cold_start=done.cold_start)
            yield form, runtime, own, times
