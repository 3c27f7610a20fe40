"""MediaWiki dumps: each article as a document, its wikitext as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yuyi.data.readers.skipped import Skipped
from yuyi.data.readers.text_files import first_language
from yuyi.data.readers.wikitext import wikitext_to_markdown
from yuyi.data.readers.xml import stream_xml
from yuyi.records import Document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEPT = frozenset(("title", "ns", "text", "namespace"))
_ARTICLES = "0"
_REDIRECT = re.compile(r"\s*#\s*(?:redirect|重定向)", re.IGNORECASE)


class _Pages:
    """Title and text of each page, with the reason where it is no article; what the dump says of its wiki."""

    def __init__(self) -> None:
        self.lang = ""
        self.namespaces: set[str] = set()
        self.found: list[tuple[str, str, str]] = []
        self._page: dict[str, str] = {}
        self._said: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _KEPT:
            self._said = []
        elif name == "page":
            self._page = {}
        elif name == "redirect":
            self._page[name] = ""
        elif name == "mediawiki":
            self.lang = attributes.get("xml:lang", "").partition("-")[0]

    def end(self, name: str) -> None:
        if name in _KEPT:
            # Of several revisions the last is kept.
            self._page[name], self._said = "".join(self._said or ()), None
            if name == "namespace":
                self.namespaces.add(self._page[name].lower())
        elif name == "page":
            self.found.append((self._page.get("title", ""), self._page.get("text", ""), self._reason()))

    def _reason(self) -> str:
        """Why the page is no article; empty where it is one."""
        if self._page.get("ns", _ARTICLES) != _ARTICLES:
            return "page of another namespace"
        is_redirect = "redirect" in self._page or _REDIRECT.match(self._page.get("text", ""))
        return "redirect" if is_redirect else ""

    def data(self, text: str) -> None:
        if self._said is not None:
            self._said.append(text)


def read_mediawiki(path: Path, *, name: str, source: str) -> Iterator[Document | Skipped]:
    """Each article of a dump of pages as a document; its `doc_id` is its title, to which links lead.

    Redirects, pages outside the main namespace and those without text are passed over, each by its reason.

    Args:
        path: the dump, as XML or compressed as `.bz2`, `.gz` or `.xz`.
        name: what the file is called where something is passed over.
        source: the name that the documents' collection gets.

    Raises:
        InputError: the file is missing, cut off or no such dump; the message names the line.
    """
    pages = _Pages()
    for _ in stream_xml(path, "mediawiki", pages):
        namespaces = frozenset(pages.namespaces - {""})
        for title, wikitext, reason in pages.found:
            text = "" if reason else wikitext_to_markdown(wikitext, namespaces)
            if text:
                yield Document(source, title, title, text, pages.lang or first_language(text))
            else:
                yield Skipped(name, reason or "page without text")
        pages.found = []
