"""Pairs from disk to tokenised sources, ready to be drawn from.

Files are read and tokenised once. What comes of them lies in a folder of plain arrays that are mapped into
memory: a corpus may be larger than the machine, a run that starts again has it at once, and all processes of
a machine share one copy.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import tokenizers
from pydantic import NonNegativeInt, PositiveInt  # noqa: TC002 (pydantic reads the annotations)

from yuyi.artifacts import hash_code, hash_file, hash_json, publish_file, publish_folder
from yuyi.config import REFUSE_UNKNOWN
from yuyi.errors import InputError
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.reading.array_folder import read_arrays
from yuyi.train.reading.corpus_build import ARRAYS, SIDES, Feed, build, held_out_of
from yuyi.train.reading.held_out import HeldOut
from yuyi.train.reading.pair_files import blocks_of
from yuyi.train.reading.sources import Column, Origins, Source
from yuyi.train.reading.tokens import column_of
from yuyi.train.reading.turns import in_turn
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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
        hold_out: rows of each source that training never sees, at most a tenth of its distinct pairs; with
            them go the rows of any source that have a text of theirs, and such negatives of other rows
            (`yuyi.train.reading.held_out.HeldOut` says which texts). `kinds` and `names` change nothing in
            what is held out.
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
        left_out: how many rows of each name and kind are neither, having a text of a held-out row.
    """

    sources: list[Source]
    probes: list[Source]
    left_out: dict[tuple[str, str], int]


class Given(NamedTuple):
    """What is said of a file of pairs.

    Attributes:
        name: of its collection, in place of what the rows say; empty leaves that.
        kind: of its rows, likewise.
        prefix: stands before the name of each collection, to tell files with equal ones apart.
    """

    name: str = ""
    kind: str = ""
    prefix: str = ""


def open_corpus(
    files: Sequence[Path],
    tokenizer: Tokenizer,
    config: CorpusConfig,
    folder: Path,
    on_done: Callable[[int], None] = lambda count: None,
    *,
    given: Sequence[Given] = (),
    may_be_empty: bool = False,
) -> Corpus:
    """The rows of these files, mapped from `folder`, where they are written if they do not lie there yet.

    Several processes may call this at once: one of them writes, and the others wait for it.

    Args:
        files: Parquet or JSONL files of rows (`yuyi.train.reading.pair_files`).
        tokenizer: cuts texts into tokens.
        config: what is taken of them, and how.
        folder: keeps the arrays, in a folder of their own for each set of files, tokenizer and settings.
        on_done: called with the number of rows that were just read.
        given: what is said of each file; empty for nothing.
        may_be_empty: whether nothing may be left of all rows.

    Raises:
        InputError: a file cannot be read, is empty or has a row that cannot be used; less than half is left
            of all rows or of a large source for the sake of those held out; or the place cannot be written.
        RecipeError: a row has a language for which there is no prompt.
        MissingExtra: a file is Parquet and pyarrow is not installed.
    """
    batches = BatchTokenizer(tokenizer)
    facts = {
        **_facts(files, given),
        "tokenizer": hash_json(tokenizer.to_str()),
        "library": tokenizers.__version__,
        **asdict(config),
    }
    place = folder / hash_json(facts)[:16]
    corpus = _found(place, tuple(files))
    if corpus is None:
        held_out = open_held_out(files, config.hold_out, folder, given=given) if config.hold_out else None
        with in_turn(folder):
            corpus = _found(place, tuple(files))
            if corpus is None:
                with publish_folder(place) as temporary:
                    build(temporary, _feeds(files, given), batches, config, on_done, held_out)
                corpus = _map(place, tuple(files))
    if not corpus.sources and not may_be_empty:
        raise InputError(
            f"{', '.join(map(str, files))}: hold no {config.smallest} rows of one collection and kind "
            "that may be learned from. Add rows, lower smallest or hold_out, or name other kinds."
        )
    return corpus


def open_held_out(files: Sequence[Path], most: int, folder: Path, *, given: Sequence[Given] = ()) -> HeldOut:
    """The rows of these files that `open_corpus` holds out, `most` of each source.

    They are chosen once, and stand in a file in `folder` from then on.

    Args:
        files: as for `open_corpus`.
        most: `CorpusConfig.hold_out`.
        folder: as for `open_corpus`.
        given: likewise.

    Raises:
        InputError: a file cannot be read, is empty or has a row that cannot be used; or the place cannot be
            written.
    """
    place = folder / f"held-out-{hash_json({**_facts(files, given), 'most': most})[:16]}.json"
    with in_turn(folder):
        try:
            return HeldOut.read(place)
        except InputError:  # Not there yet, or damaged, and to be made again.
            held_out = held_out_of(_feeds(files, given), most)
        with publish_file(place) as temporary:
            held_out.write(temporary)
    return held_out


def _feeds(files: Sequence[Path], given: Sequence[Given]) -> list[Feed]:
    given = given or [Given()] * len(files)
    return [Feed.of_file(path, *own) for path, own in zip(files, given, strict=True)]


def _facts(files: Sequence[Path], given: Sequence[Given]) -> dict[str, Any]:
    """What decides the rows."""
    return {
        "files": [hash_file(path) if path.is_file() else str(path) for path in files],
        # A file's name is the name of its rows where they have no other.
        "names": [path.stem for path in files],
        "given": list(given) or [Given()] * len(files),
        "code": hash_code(*_CODE),
    }


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
    corpus = Corpus([], [], {})
    for arrays, fact in zip(groups, facts, strict=True):
        place = corpus.probes if fact["held_out"] else corpus.sources
        place.append(_source(arrays, fact, files))
        if fact["left_out"]:
            corpus.left_out[fact["name"], fact["kind"]] = fact["left_out"]
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
