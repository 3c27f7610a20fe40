"""What a sentence encoder says of the English texts, as targets for a token table.

The teacher is any sentence-transformers folder or installed package that holds one. Its vectors are rotated
onto their principal axes, so that their leading values carry most and a Matryoshka cut of them still means
something.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import PositiveInt  # noqa: TC002 (pydantic reads the annotation)
from tokenizers import Tokenizer

from yuyi.config import REFUSE_UNKNOWN
from yuyi.errors import RecipeError
from yuyi.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from yuyi.records import Pair

_BLOCK = 8_192
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """Which teacher, and what it is asked.

    Attributes:
        package: an installed Python package with the model in its folder `model`; or
        folder: a model folder. One of the two.
        origin: where it comes from, for the card.
        licence: as its origin states it.
        languages: it is asked about texts of pairs in these languages.
        most: number of texts at most, the sources taking turns.
        characters: a text is cut to this many, for teacher and student alike.
        words: also ask about the words of its own vocabulary.
        translations: also give a text's vector to its translation, where a pair holds both.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    package: str = ""
    folder: str = ""
    origin: str = "not stated"
    licence: str = "not stated"
    languages: tuple[str, ...] = ("en",)
    most: PositiveInt = 250_000
    characters: PositiveInt = 300
    words: bool = True
    translations: bool = False


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
    if not (folder / "modules.json").is_file():
        raise RecipeError(
            f"teacher.folder {folder}: holds no modules.json. Give a folder of sentence-transformers."
        )
    return folder


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
    """Distinct texts of the wanted languages, cut; where they are too many, the sources take turns."""
    sources: dict[str, dict[str, None]] = {}
    for pair in pairs:
        sides = pair.lang.split("-") if "-" in pair.lang else [pair.lang, pair.lang]
        for lang, text in zip(sides, (pair.text_a, pair.text_b), strict=False):
            if lang in config.languages and len(text) > 1:
                sources.setdefault(pair.source, {})[_cut(text, config.characters)] = None
    chosen: dict[str, None] = {}
    waiting = [iter(_shuffled(texts)) for _, texts in sorted(sources.items())]
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


def embed_with_teacher(
    folder: Path,
    texts: Sequence[str],
    dim: int | None = None,
    on_done: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float32]:
    """(texts, dim) float32 of unit length: the teacher's vectors on their principal axes, cut to `dim`.

    The axes are those of the uncentred second moment: a rotation and a cut, so cosines survive.

    Raises:
        RecipeError: the teacher's vectors are shorter than `dim`.
        MissingExtra: sentence-transformers is not installed.
    """
    require("distill")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.bfloat16})
    if dim is not None and model.get_embedding_dimension() < dim:
        raise RecipeError(
            f"table.dims {dim}: more than the {model.get_embedding_dimension()} of the teacher {folder}. "
            "Lower them, or choose another teacher."
        )
    # Short texts next to short ones: little is padded.
    order = np.argsort([len(text) for text in texts], kind="stable")
    vectors = np.zeros((len(texts), model.get_embedding_dimension()), dtype=np.float32)
    for start in range(0, len(texts), _BLOCK):
        block = order[start : start + _BLOCK]
        vectors[block] = model.encode(
            [texts[row] for row in block], batch_size=_BATCH, show_progress_bar=False
        )
        on_done(len(block))
    vectors = _unit(vectors)
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    turned: NDArray[np.float32] = vectors @ axes[:, ::-1][:, :dim]
    return _unit(turned)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row scaled to unit length; a text that says nothing to the teacher stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit


def _cut(text: str, characters: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= characters else text[:characters].rsplit(" ", 1)[0]


def _shuffled(texts: Iterable[str]) -> list[str]:
    ordered = sorted(texts)
    return [ordered[row] for row in np.random.default_rng(0).permutation(len(ordered))]


def _take_one(texts: Iterable[str], chosen: dict[str, None]) -> bool:
    for text in texts:
        chosen[text] = None
        return True
    return False
