"""Running a recipe: pairs, vocabulary, teacher, table, model folder, scores, card; each stage once."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from yuyi.artifacts import hash_code, hash_file, hash_input, hash_json, publish_file
from yuyi.errors import InputError
from yuyi.recipe.fingerprint import Ledger
from yuyi.recipe.publish import publish_model
from yuyi.recipe.schema import read_recipe
from yuyi.records import read_pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from yuyi.recipe.schema import Recipe


@dataclass(frozen=True, slots=True)
class Run:
    """A recipe, the folders it works with, and whom to tell.

    Attributes:
        recipe: what to make.
        data: folder that the recipe's paths are relative to.
        folder: where intermediate files and the model go.
        say: told one line for each stage.
        log: told one dictionary every few training steps.
    """

    recipe: Recipe
    data: Path
    folder: Path
    say: Callable[[str], None]
    log: Callable[[dict[str, Any]], None]

    @property
    def prepared(self) -> Path:
        """The folder that the pairs were made in."""
        return self.folder / "data"

    @property
    def pairs(self) -> Path:
        """The prepared pairs."""
        return self.prepared / "mixture" / "train.parquet"

    @property
    def tokenizer(self) -> Path:
        """The trained tokenizer."""
        return self.folder / "tokenizer.json"

    @property
    def teacher(self) -> Path:
        """The teacher's texts and vectors."""
        return self.folder / "teacher.npz"

    @property
    def table(self) -> Path:
        """The trained rows, float32."""
        return self.folder / "table.npy"

    @property
    def model(self) -> Path:
        """The finished model folder."""
        return self.folder / self.recipe.name


def run_recipe(
    path: Path,
    folder: Path | None = None,
    data: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    log: Callable[[dict[str, Any]], None] = lambda entry: None,
) -> Path:
    """The folder of the model that the recipe at `path` makes; stages that are done and unchanged are kept.

    Args:
        path: the recipe file.
        folder: where everything is written; by default `runs/<name>` in the current folder.
        data: the data folder, instead of the recipe's own.
        say: told one line for each stage.
        log: told one dictionary every few training steps, after it is written to `training.jsonl`.

    Raises:
        RecipeError: the recipe is wrong.
        InputError: a file that it names is missing or damaged.
        MissingExtra: a package that it needs is not installed.
    """
    recipe = read_recipe(path)
    data = data or (path.parent / recipe.data)
    folder = folder or Path("runs") / recipe.name
    documents, pairs = (
        [(entry.path, hash_input(data / entry.path)) for entry in entries]
        for entries in (recipe.documents, recipe.pairs)
    )
    evaluation = hash_input(data / recipe.evaluation) if recipe.evaluation else ""
    _make_folder(folder)
    run = Run(recipe, data, folder, say, _logged(log, folder / "training.jsonl"))
    ledger = Ledger(folder, say)
    digests: dict[str, str] = {}

    made_by = hash_code("config.py", "records.py", "data", "text")
    key: list[Any] = [documents, pairs, evaluation, asdict(recipe.prepare), made_by]
    digests["pairs"] = ledger.stage("pairs", key, run.pairs, lambda: _make_pairs(run))
    lexicon = _lexicon(recipe)
    key = [
        digests["pairs"],
        asdict(recipe.vocabulary),
        hash_json(lexicon),
        hash_code("train/starting/vocabulary.py"),
    ]
    digests["vocabulary"] = ledger.stage(
        "vocabulary", key, run.tokenizer, lambda: _make_vocabulary(run, lexicon)
    )
    if recipe.teacher:
        digests["teacher weights"] = hash_input(_teacher_folder(recipe))
        key = [
            digests["pairs"],
            digests["teacher weights"],
            asdict(recipe.teacher),
            max(recipe.table.dims),
            hash_code(
                "train/teaching/asked.py", "train/teaching/teacher.py", "train/teaching/teacher_vectors.py"
            ),
        ]
        digests["teacher"] = ledger.stage("teacher", key, run.teacher, lambda: _make_teacher(run))
    key = [digests, asdict(recipe.table), hash_code("train")]
    training = folder / f"training-{hash_json(key)[:16]}"
    digests["table"] = ledger.stage("table", key, run.table, lambda: _make_table(run, training))
    key = [digests, documents, pairs, hash_file(path), hash_code("recipe", "encode", "evaluate")]
    ledger.stage("model", key, run.model, lambda: publish_model(run, path, dict(documents + pairs), digests))
    return run.model


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be a folder ({error.strerror}). Choose another place with --out."
        ) from error


def _logged(log: Callable[[dict[str, Any]], None], path: Path) -> Callable[[dict[str, Any]], None]:
    """`log`, writing each entry to a file first, a line of JSON each."""

    def both(entry: dict[str, Any]) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        log(entry)

    return both


def _make_pairs(run: Run) -> None:
    from yuyi.data.decontaminate import DecontaminateConfig
    from yuyi.data.folder import DataFolder
    from yuyi.data.make import make
    from yuyi.data.sources import SourceConfig
    from yuyi.progress import progress

    recipe = run.recipe
    sources = tuple(
        SourceConfig(path=str(run.data / entry.path), origin=entry.origin, licence=entry.licence)
        for entry in (*recipe.documents, *recipe.pairs)
    )
    evaluation = (str(run.data / recipe.evaluation),)
    config = replace(
        recipe.prepare,
        extract=replace(recipe.prepare.extract, sources=sources),
        decontaminate=DecontaminateConfig(evaluation=evaluation) if recipe.evaluation else None,
    )
    for _ in make(DataFolder(run.prepared), config, shown=progress):
        pass  # Each step shows its own progress, and the report in the folder tells what it did.


def _make_vocabulary(run: Run, lexicon: list[str]) -> None:
    from yuyi.train.starting.vocabulary import learn_tokenizer

    tokenizer = learn_tokenizer(read_pairs(run.pairs), run.recipe.vocabulary, lexicon)
    with publish_file(run.tokenizer) as temporary:
        tokenizer.save(str(temporary), pretty=False)


def _lexicon(recipe: Recipe) -> list[str]:
    from yuyi.train.teaching.teacher import teacher_words

    return teacher_words(_teacher_folder(recipe)) if recipe.teacher and recipe.vocabulary.lexicon else []


def _teacher_folder(recipe: Recipe) -> Path:
    from yuyi.train.teaching.teacher import teacher_folder

    assert recipe.teacher is not None
    return teacher_folder(recipe.teacher)


def _make_teacher(run: Run) -> None:
    from yuyi.train.teaching.teacher import translations
    from yuyi.train.teaching.teacher_vectors import asked_texts, embed_with_teacher

    config = run.recipe.teacher
    assert config is not None
    folder = _teacher_folder(run.recipe)
    texts = asked_texts(config, read_pairs(run.pairs))
    done = Counter[str]()

    def on_done(count: int) -> None:
        done["texts"] += count
        run.log({"stage": "teacher", "step": done["texts"], "of": len(texts)})

    vectors = embed_with_teacher(folder, texts, max(run.recipe.table.dims), on_done)
    if config.translations:
        translated, originals = translations(read_pairs(run.pairs), texts, config)
        texts, vectors = texts + translated, np.concatenate([vectors, vectors[originals]])
    with publish_file(run.teacher) as temporary:
        # As JSON: a numpy array of texts would give each the room of the longest.
        encoded = np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8)
        np.savez(temporary, texts=encoded, vectors=vectors)


def _make_table(run: Run, training: Path) -> None:
    from yuyi.train.static import train_table

    teacher = None
    if run.recipe.teacher:
        stored = np.load(run.teacher, allow_pickle=False)
        teacher = (json.loads(stored["texts"].tobytes()), stored["vectors"])
    tokenizer = Tokenizer.from_file(str(run.tokenizer))
    table = train_table(run.recipe.table, tokenizer, read_pairs(run.pairs), teacher, training, run.log)
    with publish_file(run.table) as temporary:
        np.save(temporary, table)
    for finished in run.folder.glob("training-*"):  # Of other settings, too.
        shutil.rmtree(finished)
