"""Who teaches, and what the teacher is asked.

The teacher is any model folder that yuyi opens, an installed package that holds one, or a file of vectors.
What it answers is computed in `yuyi.train.teaching.teacher_vectors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import PositiveInt  # noqa: TC002 (pydantic reads the annotation)
from tokenizers import Tokenizer

from yuyi.config import REFUSE_UNKNOWN
from yuyi.errors import RecipeError
from yuyi.train.reading.sources import text_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from yuyi.records import Pair

# One of these is in every model folder.
_MODEL_FILES = ("modules.json", "config.json", "yuyi.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """Which teacher, and what it is asked.

    Attributes:
        package: an installed Python package with the model in its folder `model`; or
        folder: a model folder; or
        vectors: a file of texts and vectors, as `yuyi embed` writes it. One of the three.
        origin: where it comes from, for the card.
        licence: as its origin states it.
        languages: it is asked about texts of pairs in these languages.
        most: number of texts at most, the sources taking turns.
        characters: a text is cut to this many, for teacher and student alike.
        words: also ask about the words of its own vocabulary.
        translations: also give a text's vector to its translation, where a pair holds both.
        prompt: name of the teacher's prompt that stands before each text; empty for its default.
        turn: whether its vectors are rotated onto their principal axes, as a student with fewer dimensions
            or with Matryoshka cuts needs; false where the student is to live in the teacher's own space.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    package: str = ""
    folder: str = ""
    vectors: str = ""
    origin: str = "not stated"
    licence: str = "not stated"
    languages: tuple[str, ...] = ("en",)
    most: PositiveInt = 250_000
    characters: PositiveInt = 300
    words: bool = True
    translations: bool = False
    prompt: str = ""
    turn: bool = True

    def __post_init__(self) -> None:
        """Refuse no teacher and more than one.

        Raises:
            RecipeError: not exactly one of the three is given.
        """
        given = [name for name in ("package", "folder", "vectors") if getattr(self, name)]
        if len(given) != 1:
            there = f"{' and '.join(given)} are given" if given else "none is given"
            raise RecipeError(f"teacher: {there}. Give one of package, folder and vectors.")


def teacher_folder(config: TeacherConfig) -> Path:
    """The folder of the teacher's files.

    Raises:
        RecipeError: neither the package nor the folder is there.
    """
    if config.package:
        spec = find_spec(config.package)
        if spec is None or spec.origin is None:
            raise RecipeError(
                f"teacher.package {config.package}: not installed. Run: pip install 'yuyi[distill]'"
            )
        return Path(spec.origin).parent / "model"
    folder = Path(config.folder)
    if not any((folder / name).is_file() for name in _MODEL_FILES):
        raise RecipeError(
            f"teacher.folder {folder}: holds none of {', '.join(_MODEL_FILES)}. Give a model folder."
        )
    return folder


def teacher_files(config: TeacherConfig) -> list[Path]:
    """What decides a teacher's answers: its folder, or the file of its vectors with that of their texts.

    Raises:
        RecipeError: neither the package nor the folder is there.
    """
    if not config.vectors:
        return [teacher_folder(config)]
    vectors = Path(config.vectors)
    return [vectors] if vectors.suffix == ".parquet" else [vectors, vectors.with_suffix(".txt")]


def teacher_words(folder: Path) -> list[str]:
    """The Latin words of the teacher's vocabulary, in its own order, which is that of falling use.

    Raises:
        RecipeError: the teacher has no `tokenizer.json`.
    """
    found = min(folder.rglob("tokenizer.json"), key=lambda path: len(path.parts), default=None)
    if found is None:
        raise RecipeError(f"teacher {folder}: holds no tokenizer.json to take words from. Set words: false.")
    numbers = Tokenizer.from_file(str(found)).get_vocab()
    return [word for word in sorted(numbers, key=numbers.__getitem__) if word.isascii() and word.isalpha()]


def teacher_texts(pairs: Iterable[Pair], config: TeacherConfig) -> list[str]:
    """Distinct texts of the wanted languages, cut; where they are too many, the sources take turns.

    Of a source with more than `config.most` texts only so many are in memory, twice as many for moments:
    those whose keys are smallest, which does not depend on the order of the pairs.
    """
    sources: dict[str, dict[str, None]] = {}
    for pair in pairs:
        sides = pair.lang.split("-") if "-" in pair.lang else [pair.lang, pair.lang]
        for lang, text in zip(sides, (pair.text_a, pair.text_b), strict=False):
            if lang in config.languages and len(text) > 1:
                pool = sources.setdefault(pair.source, {})
                pool[_cut(text, config.characters)] = None
                if len(pool) > 2 * config.most:
                    sources[pair.source] = _fewer(pool, config.most)
    chosen: dict[str, None] = {}
    waiting = [iter(_shuffled(_fewer(texts, config.most))) for _, texts in sorted(sources.items())]
    while waiting and len(chosen) < config.most:
        waiting = [texts for texts in waiting if _take_one(texts, chosen)]
    return list(chosen)


def translations(
    pairs: Iterable[Pair], texts: Sequence[str], config: TeacherConfig
) -> tuple[list[str], list[int]]:
    """Texts in other languages, and for each the place in `texts` of the text that it translates.

    Source: a student in the teacher's space for both languages, Reimers and Gurevych 2020, arXiv 2004.09813.
    """
    places = {text: place for place, text in enumerate(texts)}
    translated: list[str] = []
    originals: list[int] = []
    for pair in pairs:
        first, _, second = pair.lang.partition("-")
        if first in config.languages and second and len(pair.text_a) <= config.characters:
            place = places.get(_cut(pair.text_a, config.characters))
            if place is not None:
                translated.append(pair.text_b)
                originals.append(place)
    return translated, originals


def _cut(text: str, characters: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= characters else text[:characters].rsplit(" ", 1)[0]


def _fewer(texts: dict[str, None], most: int) -> dict[str, None]:
    if len(texts) <= most:
        return texts
    return dict.fromkeys(sorted(texts, key=text_key)[:most])


def _shuffled(texts: Iterable[str]) -> list[str]:
    ordered = sorted(texts)
    return [ordered[row] for row in np.random.default_rng(0).permutation(len(ordered))]


def _take_one(texts: Iterable[str], chosen: dict[str, None]) -> bool:
    for text in texts:
        chosen[text] = None
        return True
    return False
