"""A form of a model run by Transformers.js, as whoever downloads it would run it.

Nothing is fetched from a network: the library comes from a folder of npm packages, the model from its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import InputError, ModelError
from yuyi.export.javascript.page import find_chromium, run_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_HERE = Path(__file__).parent
_LIBRARY = Path("node_modules/@huggingface/transformers")
# Seconds that a run may take; a machine may be busy.
_LONGEST = 600
# How much of what a program said of its failure is passed on.
_SAID = 600


@dataclass(frozen=True, slots=True)
class JavaScriptRun:
    """What a form gave.

    Attributes:
        vectors: (texts, dim) float32.
        texts_per_second: one at a time, on one core in a browser and on as many as onnxruntime takes in Node.
        cold_start: seconds from the start of Node, or from the opening of the page, to the first vector.
    """

    vectors: NDArray[np.float32]
    texts_per_second: float
    cold_start: float


def find_runtimes(folder: Path | None) -> list[str]:
    """Which of `node` and `chromium` can run forms here; none without a folder of packages.

    Args:
        folder: what holds `node_modules/@huggingface/transformers`.

    Raises:
        InputError: the folder does not hold it, or nothing can run it.
    """
    if folder is None:
        return []
    if not (folder / _LIBRARY / "package.json").is_file():
        raise InputError(
            f"{folder}: holds no {_LIBRARY}. Run `npm install @huggingface/transformers@~4.3.0` there."
        )
    found = [name for name, there in (("node", shutil.which("node")), ("chromium", find_chromium())) if there]
    if not found:
        raise InputError(f"{folder}: neither node nor chromium can be found to run it. Install one of them.")
    return found


def embed(runtime: str, model_folder: Path, dtype: str, texts: Sequence[str], modules: Path) -> JavaScriptRun:
    """The vectors of texts and how long they took.

    Args:
        runtime: `node` or `chromium`, as `find_runtimes` gave it.
        model_folder: a folder with `onnx/`, tokenizer and settings.
        dtype: the form, as Transformers.js calls it: `fp32`, `fp16`, `q8`.
        texts: at least one.
        modules: what holds `node_modules/@huggingface/transformers`.

    Raises:
        ModelError: the model cannot be run; the message holds what the runtime said.
    """
    library = (modules / _LIBRARY).resolve()
    run = {"node": _run_node, "chromium": run_page}[runtime]
    try:
        values, times = run(library, model_folder.resolve(), dtype, texts, _LONGEST)
    except (RuntimeError, TimeoutError) as error:
        said = " ".join(str(error).split())
        raise ModelError(
            f"{model_folder}: {runtime} cannot run it as {dtype}: {said[:_SAID]}. Export it again, or leave "
            "--javascript out."
        ) from error
    return JavaScriptRun(values.reshape(len(texts), -1), len(texts) / times["seconds"], times["coldStart"])


def _run_node(
    library: Path, model: Path, dtype: str, texts: Sequence[str], longest: float
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """All values, and the times that `embed.mjs` took.

    Raises:
        RuntimeError: it failed; the message is what it said.
        TimeoutError: it took longer than `longest` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="yuyi-") as folder:
        given, out = Path(folder, "texts.json"), Path(folder, "vectors")
        given.write_text(json.dumps(list(texts)), encoding="utf-8")
        command = [
            "node",
            _HERE / "node.mjs",
            library / "dist" / "transformers.node.mjs",
            model,
            dtype,
            given,
            out,
        ]
        try:
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=longest)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"no answer within {longest:g} s") from error
        if done.returncode:
            raise RuntimeError(done.stderr)
        times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return np.fromfile(out, dtype="<f4"), times
