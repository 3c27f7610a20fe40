"""Pairs from disk to tokenised sources, ready to be drawn from.

Files are read and tokenised once. What comes of them lies in a folder of plain arrays that are mapped into
memory: a corpus may be larger than the machine, a run that starts again has it at once, and all processes of
a machine share one copy.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import tokenizers
from pydantic import NonNegativeInt, PositiveInt  # noqa: TC002 (pydantic reads the annotations)

from yuyi.artifacts import hash_code, hash_file, hash_json, publish_folder
from yuyi.config import REFUSE_UNKNOWN
from yuyi.errors import InputError
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.reading.array_folder import read_arrays
from yuyi.train.reading.corpus_build import ARRAYS, SIDES, Feed, build
from yuyi.train.reading.pair_files import blocks_of
from yuyi.train.reading.sources import Column, Origins, Source
from yuyi.train.reading.tokens import column_of
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tokenizers import Tokenizer

    from yuyi.records import Pair

_CODE = tuple(
    f"train/reading/{name}.py"
    for name in ("array_folder", "corpus", "corpus_build", "held_out", "pair_files", "sources", "tokens")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusConfig:
    """How rows of texts become sources.

    Attributes:
        longest: tokens that are kept of a text, its prompt's included and special tokens not counted.
        query_prompt: stands before every `text_a`; one text, or one for each language.
        document_prompt: likewise before every `text_b` and negative. Of a row in two languages, such as
            `en-zh`, `text_a` has the first and the others have the second.
        kinds: kinds of rows that are taken; empty for all.
        names: collections that are taken; empty for all.
        smallest: collections with fewer rows of a kind are left out.
        hold_out: rows of each source that training never sees, at most a tenth of it; with them go the rows
            of any source that have a text in common with them.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    longest: PositiveInt = 512
    query_prompt: str | dict[str, str] = ""
    document_prompt: str | dict[str, str] = ""
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    smallest: PositiveInt = 2
    hold_out: NonNegativeInt = 0


class Corpus(NamedTuple):
    """What files hold.

    Attributes:
        sources: to learn from, in order of name and kind.
        probes: the held-out rows, likewise; empty where none were asked for.
    """

    sources: list[Source]
    probes: list[Source]


def open_corpus(
    files: Sequence[Path],
    tokenizer: Tokenizer,
    config: CorpusConfig,
    folder: Path,
    on_done: Callable[[int], None] = lambda count: None,
    *,
    given: Sequence[tuple[str, str]] = (),
) -> Corpus:
    """The rows of these files, mapped from `folder`, where they are written if they do not lie there yet.

    Several processes may call this at once: one of them writes, and the others wait for it.

    Args:
        files: Parquet or JSONL files of rows (`yuyi.train.reading.pair_files`).
        tokenizer: cuts texts into tokens.
        config: what is taken of them, and how.
        folder: keeps the arrays, in a folder of their own for each set of files, tokenizer and settings.
        on_done: called with the number of rows that were just read.
        given: name of the collection and kind of the rows of each file, in place of what the rows say; an
            empty one leaves that.

    Raises:
        InputError: a file cannot be read, is empty or has a row that cannot be used; nothing is left of all
            rows; or the place cannot be written.
        RecipeError: a row has a language for which there is no prompt.
        MissingExtra: a file is Parquet and pyarrow is not installed.
    """
    batches = BatchTokenizer(tokenizer)
    given = list(given) or [("", "")] * len(files)
    feeds = [Feed.of_file(path, *own) for path, own in zip(files, given, strict=True)]
    facts = {
        "files": [hash_file(path) if path.is_file() else str(path) for path in files],
        # A file's name is the name of its rows where they have no other.
        "names": [path.stem for path in files],
        "given": given,
        "tokenizer": hash_json(tokenizer.to_str()),
        "library": tokenizers.__version__,
        "code": hash_code(*_CODE),
        **asdict(config),
    }
    place = folder / hash_json(facts)[:16]
    corpus = _found(place, tuple(files))
    if corpus is None:
        with _one_at_a_time(folder):
            corpus = _found(place, tuple(files))
            if corpus is None:
                with publish_folder(place) as temporary:
                    build(temporary, feeds, batches, config, on_done)
                corpus = _map(place, tuple(files))
    if not corpus.sources:
        raise InputError(
            f"{', '.join(map(str, files))}: hold no {config.smallest} rows of one collection and kind "
            "that may be learned from. Add rows, lower smallest or hold_out, or name other kinds."
        )
    return corpus


def read_sources(
    pairs: Iterable[Pair], tokenizer: Tokenizer, longest: int, smallest: int = 64
) -> list[Source]:
    """One source for each collection and kind of the pairs at hand, in order of name; held in memory.

    Args:
        pairs: rows in any order.
        tokenizer: cuts both texts.
        longest: tokens kept of a text.
        smallest: collections with fewer rows of a kind are left out: no batch of their own would teach
            anything.

    Raises:
        InputError: a row cannot be used.
    """
    config = CorpusConfig(longest=longest, smallest=smallest)
    with tempfile.TemporaryDirectory() as name:
        build(Path(name), [Feed(None, lambda: blocks_of(pairs))], BatchTokenizer(tokenizer), config)
        return _map(Path(name), None, mapped=False).sources


def teacher_source(texts: Sequence[str], tokenizer: Tokenizer, longest: int) -> Source:
    """The texts that a teacher has embedded, as a source of kind `teacher`; both sides are the same text."""
    column = column_of(texts, BatchTokenizer(tokenizer), longest)
    return Source.of("teacher", "teacher", column, column)


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """A block that one process enters after another."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
        with contextlib.suppress(ImportError):  # Windows has no such locks.
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}). Choose another place or make room."
        ) from error
    with lock:
        yield


def _found(folder: Path, files: tuple[Path, ...]) -> Corpus | None:
    """What lies in the folder; None where it is not there or damaged, and is to be made again."""
    try:
        return _map(folder, files)
    except InputError:
        return None


def _map(folder: Path, files: tuple[Path, ...] | None, *, mapped: bool = True) -> Corpus:
    """The sources that `build` wrote.

    Raises:
        InputError: they are not whole.
    """
    groups, facts = read_arrays(folder, ARRAYS, mapped=mapped)
    corpus = Corpus([], [])
    for arrays, fact in zip(groups, facts, strict=True):
        place = corpus.probes if fact["held_out"] else corpus.sources
        place.append(_source(arrays, fact, files))
    return corpus


def _source(arrays: Mapping[str, Any], fact: Mapping[str, Any], files: tuple[Path, ...] | None) -> Source:
    queries, documents, negatives = (
        Column(TokenBatch(arrays[f"{side}.ids"], arrays[f"{side}.offsets"]), arrays[f"{side}.keys"])
        for side in SIDES
    )
    return Source(
        name=fact["name"],
        kind=fact["kind"],
        queries=queries,
        documents=documents,
        labels=arrays["labels"],
        negatives=negatives,
        negative_offsets=arrays["negative_offsets"],
        scores=arrays["scores"],
        origins=None if files is None else Origins(files, arrays["file"], arrays["row"]),
    )
