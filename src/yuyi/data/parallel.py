"""Texts and their translations: two files line by line, tables without a head line, and TMX."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, zip_longest
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError, iterparse

from yuyi.data.clean import language
from yuyi.data.threads import Thread
from yuyi.errors import InputError
from yuyi.text.decode import reading
from yuyi.text.lines import read_lines
from yuyi.text.rows import read_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from yuyi.records import Document

# Lines of one document: enough that a row is not mostly its own overhead, few enough to be read by people.
_LINES = 200

Aligned = tuple[str, str]


def read_parallel(paths: Sequence[Path], *, name: str, source: str, lang: str = "") -> Iterator[Document]:
    """Documents of up to 200 texts, each followed by its translation as parts of those roles.

    Args:
        paths: two files whose lines belong together, or one TSV, CSV or TMX file. Of a table without a head
            line the first column is the original, the second its translation; of TMX the first two
            languages of each unit.
        name: what `doc_id` begins with; the number of the first line follows.
        source: the collection.
        lang: of both, as `en-zh`; empty to find it out.

    Raises:
        InputError: a file is missing, damaged, or has more lines than the other.
    """
    lines = enumerate(_aligned(paths), 1)
    whole = ((number, pair) for number, pair in lines if pair[0].strip() and pair[1].strip())
    while group := list(islice(whole, _LINES)):
        document = _document([pair for _, pair in group], source, f"{name}#{group[0][0]}")
        yield replace(document, lang=lang or document.lang)


def _document(pairs: list[Aligned], source: str, doc_id: str) -> Document:
    thread = Thread("")
    for text, translation in pairs:
        thread.add("translation", translation, of=thread.add("original", text))
    document = thread.document(source, doc_id)
    assert document is not None  # No text among them is empty.
    langs = dict.fromkeys(language(" ".join(texts)) for texts in zip(*pairs, strict=True))
    return replace(document, lang="-".join(langs))


def _aligned(paths: Sequence[Path]) -> Iterator[Aligned]:
    if len(paths) == 2:
        return _two_files(*paths)
    (path,) = paths
    if path.suffix.lower() == ".tmx":
        return _translation_units(path)
    return _two_columns(path)


def _two_files(one: Path, other: Path) -> Iterator[Aligned]:
    end = None
    for number, (text, translation) in enumerate(zip_longest(read_lines(one), read_lines(other)), 1):
        if text is end or translation is end:
            short, long = (one, other) if text is end else (other, one)
            raise InputError(
                f"{short}: ends after line {number - 1}, and {long} goes on. Give two files whose "
                "lines belong together."
            )
        yield text, translation


def _two_columns(path: Path) -> Iterator[Aligned]:
    # A quote in a TSV file of sentences is a quote.
    if path.suffix.lower() == ".csv":
        rows = ((line, fields) for line, fields in read_fields(path, ","))
    else:
        rows = ((line, text.split("\t")) for line, text in enumerate(read_lines(path), 1) if text.strip())
    for line, fields in rows:
        if len(fields) < 2:
            raise InputError(
                f"{path}: line {line} has one column, and a text and its translation are two. Mend the line."
            )
        yield fields[0], fields[1]


def _translation_units(path: Path) -> Iterator[Aligned]:
    with reading(path), path.open("rb") as file:
        try:
            events = iterparse(file, events=("start", "end"))
            _, root = next(events)
            body = root
            for event, element in events:
                tag = element.tag.rpartition("}")[2]
                if event == "start" and tag == "body":
                    body = element
                elif event == "end" and tag == "tu":
                    texts = ["".join(seg.itertext()) for seg in element.iter() if seg.tag.endswith("seg")]
                    body.clear()
                    if len(texts) >= 2:
                        yield texts[0], " ".join(texts[1].split("\n"))
        except ParseError as error:
            raise InputError(f"is not whole XML ({error}). Write or copy it again.") from error
