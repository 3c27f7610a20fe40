"""A tree of HTML written as Markdown.

The walk does not recurse, so that no depth of nesting ends it. What is written is what `text.markdown` reads
back: emphasis and images are dropped, and characters of the text that would read as markup are escaped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from yuyi.data.clean import IDEOGRAPHS
from yuyi.data.readers.furniture import UNSEEN, is_furniture
from yuyi.data.readers.markup import Cell, code_block, code_span, escape, escape_starts, link, table, term

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Tags that begin and end a block.
BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl",
    "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
    "header", "hr", "html", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
_CODE = frozenset(("code", "tt", "samp", "kbd"))
# Whatever their class is called.
_NEVER_LEFT_OUT = frozenset(
    ("h1", "h2", "h3", "h4", "h5", "h6", "p", "pre", "code", "b", "em", "i", "strong", "tr")
)
# Targets that are no page of their own.
_NOT_PAGES = ("#", "javascript:", "mailto:", "data:")
# What a heading's link to itself shows.
_PERMALINK = frozenset(("", "#", "¶", "§", "🔗", "\u200b"))
_CALLOUT = re.compile(r"admonition|callout|aside|note|tip|warning|topic", re.IGNORECASE)
_LANGUAGE = re.compile(
    r"(?:^|\s)(?:language|lang|highlight(?:-source)?|brush:)[-\s]?([\w+#.-]+)", re.IGNORECASE
)

_BROKEN_CHINESE = re.compile(rf"(?<=[{IDEOGRAPHS}，。！？：；、])[^\S\n]*\n\s*(?=[{IDEOGRAPHS}])")
_BREAK, _BREAKS = "\v", re.compile(r"\v\s*\v[\s\v]*")
# A table with one of these, or with another table, in a cell lays out a page.
_NOT_IN_CELLS = "pre, h1, h2, h3, h4, dl"
# Deeper lists and quotes than these are written at this depth.
_DEEPEST = 12


def walk(root: Any, enter: Callable[[Any], bool], leave: Callable[[], object]) -> None:
    """Calls `enter` for each node below `root` and `leave` after what is below it if it said yes."""
    node, depth = root.first_child, 0
    while node is not None:
        if enter(node):
            below = node.first_child
            if below is not None:
                node, depth = below, depth + 1
                continue
            leave()
        following = node.next
        while following is None and depth:
            node, depth = node.parent, depth - 1
            leave()
            following = node.next
        node = following


class Writer:
    """Markdown of what lies below a node.

    Args:
        everything: whether nothing is furniture.
        whole_page: whether more than content may be there, so that `<header>` and telling ids are left out.
        flat: whether blocks end in a space instead of a line, as in a cell of a table.
    """

    def __init__(self, *, everything: bool = False, whole_page: bool = False, flat: bool = False) -> None:
        self._everything, self._whole_page, self._flat = everything, whole_page, flat
        self.headings: list[tuple[int, str]] = []  # level and Markdown
        self._written: list[str] = []
        self._inline: list[str] = []
        self._blocks = 0  # how many blocks have begun: tells whether a link spans several
        self._verbatim = False
        self._in_link = False
        self._prefixes: list[list[str]] = []  # of the lists and quotes that are open: first line, other lines
        self._tight = False
        self._held = False
        self._lists: list[int | None] = []
        self._leaving: list[Callable[[], None] | None] = []

    def render(self, root: Any) -> str:
        """The Markdown of what lies below `root`."""
        walk(root, self._enter, self._leave)
        self._flush()
        text = "".join(self._written)
        return " ".join(text.split()) if self._flat else text

    def _leave(self) -> None:
        if close := self._leaving.pop():
            close()

    def _enter(self, node: Any) -> bool:
        """Whether what lies below the node is to be walked."""
        tag = node.tag
        if tag == "-text":
            content = node.text_content or ""
            self._inline.append(content if self._verbatim else escape(content))
            return False
        if tag == "br":
            self._inline.append("\n" if self._verbatim else _BREAK)
            return False
        if tag in UNSEEN or tag.startswith("-") or (not self._everything and self._is_left_out(tag, node)):
            return False
        special = _TAGS.get(tag)
        if special is not None:
            return special(self, node)
        if tag in BLOCKS:
            if not self._is_held():
                self._open_block()
            self._leaving.append(self._open_block)
        else:
            self._leaving.append(None)
        return True

    def _is_held(self) -> bool:
        """Whether nothing has come yet after a term, whose explanation goes on its line."""
        return self._held and not "".join(self._inline[1:]).strip()

    def _is_left_out(self, tag: str, node: Any) -> bool:
        if tag == "header" and self._whole_page:
            return True
        if tag == "aside" and not _CALLOUT.search(node.attributes.get("class") or ""):
            return True
        if tag in _NEVER_LEFT_OUT:
            return False
        if tag == "sup" and "reference" in (node.attributes.get("class") or ""):
            return True
        return is_furniture(node, by_id=self._whole_page)

    def _open_block(self) -> None:
        if self._verbatim:
            if self._inline and not self._inline[-1].endswith("\n"):
                self._inline.append("\n")
        elif self._flat:
            self._inline.append(" ")
        elif self._inline:
            self._flush()

    def _flush(self) -> None:
        """Write what has come as a paragraph."""
        text, self._inline, self._held = "".join(self._inline), [], False
        for paragraph in _paragraphs(text):
            self._write(escape_starts(paragraph))

    def _write(self, block: str) -> None:
        self._blocks += 1
        if self._flat:
            self._written.append(f" {block}")
            return
        first = rest = ""
        for prefix in self._prefixes[:_DEEPEST]:
            first += prefix[0]
            rest += prefix[1]
            prefix[0] = prefix[1]
        if self._written:
            self._written.append("\n" if self._tight and first != rest else "\n\n")
        self._tight = bool(self._lists)
        self._written.append(first + block.replace("\n", f"\n{rest}"))

    def _heading(self, node: Any) -> bool:
        self._open_block()
        if self._verbatim:
            self._leaving.append(None)
            return True
        level = int(node.tag[1])

        def close() -> None:
            text, self._inline = "".join(self._inline), []
            text = " ".join(" ".join(_paragraphs(text)).split())
            if text:
                self.headings.append((level, text))
                self._write(text if self._flat else f"{'#' * level} {text}")

        self._leaving.append(close)
        return True

    def _list(self, node: Any) -> bool:
        self._open_block()
        start = node.attributes.get("start") or "1"
        first = (int(start) if start.isdecimal() and len(start) < 9 else 1) if node.tag == "ol" else None
        self._lists.append(first)

        def close() -> None:
            self._open_block()
            self._lists.pop()
            self._tight = self._tight and bool(self._lists)

        self._leaving.append(close)
        return True

    def _item(self, node: Any) -> bool:
        number = self._lists[-1] if self._lists else None
        if number is not None:
            self._lists[-1] = number + 1
        return self._prefixed("- " if number is None else f"{number}. ", is_list=True)

    def _quote(self, node: Any) -> bool:
        return self._prefixed("> ")

    def _prefixed(self, marker: str, *, is_list: bool = False) -> bool:
        self._open_block()
        self._prefixes.append([marker, " " * len(marker) if is_list else marker])

        def close() -> None:
            self._open_block()
            self._prefixes.pop()

        self._leaving.append(close)
        return True

    def _definitions(self, node: Any) -> bool:
        self._open_block()
        self._lists.append(None)
        self._prefixes.append(["- ", "  "])

        def close() -> None:
            self._open_block()
            self._prefixes.pop()
            self._lists.pop()
            self._tight = self._tight and bool(self._lists)

        self._leaving.append(close)
        return True

    def _term(self, node: Any) -> bool:
        if not self._prefixes or self._verbatim or self._flat:
            self._leaving.append(None)
            return True
        if self._inline and not "".join(self._inline).isspace():
            self._inline.append(", ")  # two terms with one explanation
        else:
            self._inline.clear()
            self._prefixes[-1][0] = "- "
        at = len(self._inline)

        def close() -> None:
            self._inline[at:] = [_BREAK.join("".join(self._inline[at:]).split(_BREAK)).strip()]

        self._leaving.append(close)
        return True

    def _explanation(self, node: Any) -> bool:
        words = "".join(self._inline).strip()
        if words and not self._flat and not self._verbatim:
            self._inline = [term(words)]
            self._held = True
        self._leaving.append(self._open_block)
        return True

    def _link(self, node: Any) -> bool:
        target = (node.attributes.get("href") or "").strip()
        if self._verbatim or self._in_link or not target:
            self._leaving.append(None)
            return True
        at, block = len(self._inline), self._blocks
        self._in_link = True

        def close() -> None:
            self._in_link = False
            if block != self._blocks:  # it holds whole blocks
                return
            text = "".join(self._inline[at:])
            said = " ".join(text.split())
            if target.startswith("#") and said in _PERMALINK:
                del self._inline[at:]
            elif said and not target.startswith(_NOT_PAGES):
                before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
                self._inline[at:] = [before, link(said, target), after]

        self._leaving.append(close)
        return True

    def _code(self, node: Any) -> bool:
        if self._verbatim:
            self._leaving.append(None)
            return True
        at = len(self._inline)
        self._verbatim = True

        def close() -> None:
            self._verbatim = False
            self._inline[at:] = [code_span("".join(self._inline[at:]))]

        self._leaving.append(close)
        return True

    def _preformatted(self, node: Any) -> bool:
        if self._verbatim:
            self._leaving.append(None)
            return True
        self._open_block()
        outer, self._inline = self._inline, []
        self._verbatim = True

        def close() -> None:
            self._verbatim = False
            content, self._inline = "".join(self._inline), outer
            content = content.replace("\r\n", "\n").strip("\n").rstrip()
            if self._flat:
                self._inline.append(code_span(content))
            elif content:
                self._write(code_block(content, _language(node)))

        self._leaving.append(close)
        return True

    def _table(self, node: Any) -> bool:
        self._open_block()
        if self._verbatim or self._flat or _lays_out(node):
            self._leaving.append(self._open_block)
            return True
        caption = node.css_first("caption")
        said = Writer(flat=True).render(caption) if caption else ""
        for block in (said, table(self._rows(node))):
            if block:
                self._write(block)
        return False

    def _rows(self, node: Any) -> Iterator[list[Cell]]:
        for row in node.css("tr"):
            yield [
                Cell(
                    Writer(everything=self._everything, flat=True).render(cell),
                    _span(cell.attributes.get("colspan")),
                    _span(cell.attributes.get("rowspan")),
                )
                for cell in row.iter()
                if cell.tag in ("td", "th") and (self._everything or not is_furniture(cell))
            ]

    def _formula(self, node: Any) -> bool:
        source = node.css_first("annotation")
        said = source.text() if source else node.attributes.get("alttext") or node.text()
        self._inline.append(said if self._verbatim else f"${' '.join(said.split())}$")
        return False


_TAGS: dict[str, Callable[[Writer, Any], bool]] = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), Writer._heading),
    **dict.fromkeys(("ul", "ol"), Writer._list),
    **dict.fromkeys(_CODE, Writer._code),
    "li": Writer._item,
    "blockquote": Writer._quote,
    "dl": Writer._definitions,
    "dt": Writer._term,
    "dd": Writer._explanation,
    "a": Writer._link,
    "pre": Writer._preformatted,
    "table": Writer._table,
    "math": Writer._formula,
}


def _lays_out(table: Any) -> bool:
    """Whether a table lays out a page instead of holding data."""
    return len(table.css("table")) > 1 or table.css_first(_NOT_IN_CELLS) is not None


def _paragraphs(text: str) -> list[str]:
    """The paragraphs that a run of text makes, its white space collapsed; two breaks end one."""
    if "\n" in text:
        text = _BROKEN_CHINESE.sub("", text)
    if _BREAK not in text:
        text = " ".join(text.split())
        return [text] if text else []
    paragraphs = []
    for part in _BREAKS.split(text):
        lines = (" ".join(line.split()) for line in part.split(_BREAK))
        if paragraph := "\n".join(filter(None, lines)):
            paragraphs.append(paragraph)
    return paragraphs


def _language(node: Any) -> str:
    """The language that a block of code says it is in, or the empty string."""
    code = node.css_first("code")
    near = [code, node, node.parent, node.parent.parent if node.parent else None]
    for one in near:
        if one is None:
            continue
        attributes = one.attributes
        if said := attributes.get("data-lang") or attributes.get("data-language"):
            return str(said)
        if match := _LANGUAGE.search(attributes.get("class") or ""):
            return "" if match[1] in ("default", "none", "plaintext") else match[1]
    return ""


def _span(value: str | None) -> int:
    return max(1, int(value)) if value and value.isdecimal() and len(value) < 4 else 1
