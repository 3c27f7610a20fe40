"""What a teacher says: its vectors of texts, computed once and kept on disk.

They are rotated onto their principal axes, so that the leading values carry most and a Matryoshka cut still
means something; or they stay as they are, for a student that is to search among the teacher's own vectors
(LEAF, Vujanic and Rueckstiess 2025, arXiv 2509.12539).
"""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import numpy as np

from yuyi.artifacts import hash_code, hash_input, hash_json, publish_file
from yuyi.errors import InputError, RecipeError
from yuyi.records import read_batches
from yuyi.train.reading.turns import in_turn
from yuyi.train.teaching.asked import open_asked
from yuyi.train.teaching.teacher import teacher_folder, teacher_texts, teacher_words, translations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from yuyi.records import Pair
    from yuyi.train.teaching.asked import Asked
    from yuyi.train.teaching.teacher import TeacherConfig

_BLOCK = 8_192
_CODE = (
    "train/teaching/asked.py",
    "train/teaching/teacher.py",
    "train/teaching/teacher_vectors.py",
    "model",
    "text",
)


def embed_with_teacher(
    folder: Path,
    texts: Sequence[str],
    dim: int | None = None,
    on_done: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float32]:
    """(texts, dim) float32 of unit length: the teacher's vectors on their principal axes, cut to `dim`.

    The axes are those of the uncentred second moment: a rotation and a cut, so cosines survive.

    Args:
        folder: the teacher.
        texts: what it is asked.
        dim: dimensions that are kept; None for all.
        on_done: called with the number of texts of each block that is done.

    Raises:
        RecipeError: the teacher's vectors are shorter than `dim`.
        ModelError: the folder cannot be opened.
    """
    teacher = open_asked(folder)
    if dim is not None and teacher.dim < dim:
        raise RecipeError(
            f"table.dims {dim}: more than the {teacher.dim} of the teacher {folder}. Lower them, or choose "
            "another teacher."
        )
    vectors = np.zeros((len(texts), teacher.dim), dtype=np.float32)
    _ask(teacher, texts, vectors, on_done)
    turned = np.zeros((len(texts), dim or teacher.dim), dtype=np.float32)
    turn(vectors, turned)
    return turned


def teacher_vectors(
    config: TeacherConfig,
    pairs: Callable[[], Iterable[Pair]],
    folder: Path,
    dim: int | None = None,
    on_done: Callable[[int], None] = lambda count: None,
    *,
    accept: Callable[[int], None] = lambda dim: None,
    device: str = "cpu",
) -> tuple[list[str], NDArray[np.float32]]:
    """What a teacher says: texts, and its vectors (texts, dim) float32 of unit length, mapped from disk.

    The vectors are computed once, into a file of `folder` whose name is a digest of all that decides them.
    Several processes may call this at once: one of them asks, and the others wait for it.

    Args:
        config: the teacher, and which texts it is asked about.
        pairs: where texts are taken from, begun anew at each call; not called where the vectors are given.
        folder: keeps the file.
        dim: a turned teacher with more dimensions is cut to so many; None for all. Vectors that are not to be
            turned stay whole.
        on_done: called with the number of texts of each block that is done.
        accept: called with the length that the vectors are to have, before the teacher is asked, which may
            take hours; may raise.
        device: where the teacher computes.

    Raises:
        RecipeError: there is no teacher.
        InputError: the given vectors cannot be read, or there are no texts to ask about.
        ModelError: the teacher's folder cannot be opened.
    """
    originals: list[int] = []
    source, given = Path(config.vectors), None
    if config.vectors:
        texts, given = read_vectors(source)
        if not texts:
            raise InputError(f"teacher.vectors: {source} holds no texts. Name another file.")
    else:
        source, texts = teacher_folder(config), asked_texts(config, pairs())
        if config.translations:
            translated, originals = translations(pairs(), texts, config)
            texts += translated
    facts = [hash_input(source), hash_json(texts), config.turn, config.prompt, dim, hash_code(*_CODE)]
    place = folder / f"teacher-{hash_json(facts)[:16]}.npy"
    if not place.exists():
        with in_turn(folder):
            if not place.exists():
                _store(place, config, texts, originals, given, dim, on_done, accept, device)
    return texts, np.load(place, mmap_mode="r")


def asked_texts(config: TeacherConfig, pairs: Iterable[Pair]) -> list[str]:
    """What a teacher without given vectors is asked about: texts of the pairs, and words of its own.

    Raises:
        RecipeError: there is no teacher, or it has no words to take.
        InputError: there is nothing to ask about.
    """
    texts = teacher_texts(pairs, config)
    if config.words:
        known = set(texts)
        texts += [word for word in teacher_words(teacher_folder(config)) if word not in known]
    if not texts:
        raise InputError(
            f"teacher.languages: {', '.join(config.languages)}; no text of the data is in one of them. Name "
            "those of the data."
        )
    return texts


def read_vectors(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Texts and vectors as `yuyi embed` writes them.

    Args:
        path: Parquet with columns `text` and `embedding`; or `.npy`, with its texts in the file of the same
            name that ends in `.txt`, one a line.

    Raises:
        InputError: a file is missing or damaged, or there are not as many texts as vectors.
    """
    if path.suffix == ".parquet":
        texts: list[str] = []
        parts = []
        for batch in read_batches(path, ("text", "embedding")):
            texts += batch.column("text").to_pylist()
            parts.append(np.array(batch.column("embedding").to_pylist(), dtype=np.float32))
        return texts, np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)
    beside = path.with_suffix(".txt")
    try:
        texts = beside.read_text("utf-8").splitlines()
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as vectors with their texts in {beside.name} ({error}). Give Parquet "
            "with columns text and embedding, or both files."
        ) from error
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise InputError(
            f"{path}: has the shape {vectors.shape}, and {beside.name} has {len(texts):,} lines. Write a "
            "text a line and a vector for each."
        )
    return texts, vectors


def _store(
    place: Path,
    config: TeacherConfig,
    texts: Sequence[str],
    originals: Sequence[int],
    given: NDArray[np.float32] | None,
    dim: int | None,
    on_done: Callable[[int], None],
    accept: Callable[[int], None],
    device: str,
) -> None:
    """Write the vectors to `place`; the last texts are translations of `originals` and have their vectors."""
    asked = len(texts) - len(originals)

    def fill(path: Path, rows: int) -> NDArray[np.float32]:
        if given is None:
            teacher = open_asked(teacher_folder(config), prompt=config.prompt or None, device=device)
            accept(min(teacher.dim, dim or teacher.dim) if config.turn else teacher.dim)
            vectors = _new(path, rows, teacher.dim)
            _ask(teacher, texts[:asked], vectors, on_done)
            return vectors
        accept(min(given.shape[1], dim or given.shape[1]) if config.turn else given.shape[1])
        vectors = _new(path, rows, given.shape[1])
        for block in _blocks(asked):
            vectors[block] = _unit(np.asarray(given[block], dtype=np.float32))
        return vectors

    with publish_file(place) as temporary:
        if config.turn:
            with NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}.") as scratch:
                own = fill(Path(scratch.name), asked)
                vectors = _new(temporary, len(texts), min(own.shape[1], dim or own.shape[1]))
                turn(own, vectors[:asked])
        else:
            vectors = fill(temporary, len(texts))
        for block in _blocks(len(originals)):
            rows = np.asarray(originals[block], dtype=np.int64)
            vectors[asked + block.start : asked + block.start + len(rows)] = vectors[rows]


def _new(path: Path, rows: int, dim: int) -> NDArray[np.float32]:
    """A `.npy` file of zeros, mapped for writing."""
    return np.lib.format.open_memmap(path, "w+", np.dtype(np.float32), (rows, dim))


def _blocks(rows: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, rows)) for start in range(0, rows, _BLOCK)]


def _ask(
    teacher: Asked, texts: Sequence[str], vectors: NDArray[np.float32], on_done: Callable[[int], None]
) -> None:
    """Fill `vectors`, block by block."""
    for block in _blocks(len(texts)):
        vectors[block] = teacher.vectors(texts[block])
        on_done(len(texts[block]))


def turn(vectors: NDArray[np.float32], turned: NDArray[np.float32]) -> None:
    """Fill `turned` with the vectors on their principal axes, cut to its width, of unit length.

    Of all rotations with a cut, this one keeps the inner products of the vectors best.
    """
    blocks = _blocks(len(vectors))
    moment = np.zeros((vectors.shape[1], vectors.shape[1]))
    for block in blocks:
        moment += vectors[block].T @ vectors[block]
    _, axes = np.linalg.eigh(moment)
    leading = axes[:, ::-1][:, : turned.shape[1]].astype(np.float32)
    for block in blocks:
        turned[block] = _unit(vectors[block] @ leading)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row scaled to unit length; a text that says nothing to the teacher stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit
