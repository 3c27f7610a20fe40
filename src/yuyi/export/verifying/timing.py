"""How fast a form is: warm, and from the start of a process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, TypedDict

from yuyi.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from yuyi.encode import Encoder

ROUNDS = 3
_TEXT = "今天天气很好。 The weather is nice today."
_START = "import json, sys, yuyi; yuyi.load(sys.argv[1], **json.loads(sys.argv[2])).encode(sys.argv[3])"


class Times(TypedDict):
    """What `Measured` says of time."""

    texts_per_second: float
    cold_start: float


def measure_times(
    encoder: Encoder, folder: Path, options: Mapping[str, str], texts: Sequence[str], rounds: int = ROUNDS
) -> Times:
    """How fast a model is: the middle of several rounds over all texts, and of several cold starts.

    Args:
        encoder: has seen the texts before.
        folder: what it was opened from.
        options: of `yuyi.load`, with which it was.
        texts: for the rounds.
        rounds: number of measurements.

    Raises:
        ModelError: the model cannot be opened in a process of its own.
    """
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        encoder.encode(texts, return_info=True)
        seconds.append(time.perf_counter() - begin)
    per_second = len(texts) / median(seconds)
    return {"texts_per_second": per_second, "cold_start": cold_start(folder, options, rounds)}


def cold_start(folder: Path, options: Mapping[str, str], rounds: int = ROUNDS) -> float:
    """Seconds from the start of a Python process to the first vector; the middle of several.

    Args:
        folder: of the model.
        options: of `yuyi.load`.
        rounds: number of processes, one after another.

    Raises:
        ModelError: the model cannot be opened in a process of its own.
    """
    command = [sys.executable, "-c", _START, str(folder), json.dumps(dict(options)), _TEXT]
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        seconds.append(time.perf_counter() - begin)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ModelError(f"{folder}: cannot be opened in a process of its own ({said}).")
    return median(seconds)
