"""reStructuredText as Markdown, line for line, so that a place in one is a place in the other.

Docutils would do all of it, but gives no places and stops at what it does not know. Here only what would
otherwise be lost or taken for something else is rewritten: titles, directives, literal blocks and simple
tables; the rest reads as Markdown as it is.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESTRUCTURED = re.compile(r"^[ \t]*\.\. (?:_|[\w:-]+::)|(?<!\w):\w+:`", re.MULTILINE)
# A text with these is Markdown that shows reStructuredText.
_MARKDOWN = re.compile(r"^(?:#{1,6} \S|```|~~~+\w)", re.MULTILINE)

_RULER = re.compile(r"([=\-~^\"'+*#.:`_<>])\1{2,}\s*")
_DIRECTIVE = re.compile(r"( *)\.\. ([\w:-]+)::(?: +(.*))?")
_MARKUP = re.compile(r"( *)\.\.(?: +(.*))?")
_FOOTNOTE = re.compile(r"\[[\w#*-]+\] +(.*)")
_OPTION = re.compile(r" +:[\w-]+:(?: .*)?")
_TABLE_BORDER = re.compile(r" *=+(?: +=+)+ *")
_SPANNED = re.compile(r" *-+(?: +-+)* *")
_LIST_MARK = re.compile(r"(?:[-*+]|\d{1,3}[.)]|#\.) +")

# Directives whose lines are code, whose lines say nothing, and whose argument alone says nothing.
_CODE = frozenset(
    [
        *("code", "code-block", "sourcecode", "literal", "parsed-literal", "math", "doctest", "testcode"),
        *("testoutput", "prompt", "ipython", "graphviz", "digraph", "mermaid", "productionlist"),
    ]
)
_SILENT = frozenset(
    [
        *("image", "toctree", "contents", "include", "literalinclude", "index", "raw", "meta", "highlight"),
        *("currentmodule", "module", "default-role", "role", "sectnum", "codeauthor", "sectionauthor"),
        *("moduleauthor", "tabularcolumns", "testsetup", "testcleanup", "highlightlang", "plot"),
        *("automodule", "autoclass", "autofunction", "automethod", "autosummary", "autoattribute"),
    ]
)
_NAMED = frozenset(["figure", "container", "only", "cssclass", "py:currentmodule"])
_OBJECT = re.compile(
    r"(?:[\w-]+:)?(?:function|class|(?:static|class|abstract)?method|attribute|data|exception|property|decorator"
    r"|describe|macro|type|member|var|enum|enumerator|struct|union)"
)
# Deeper ones are left as they are: hostile input would take a stack as high as it is long.
_DEEPEST = 12


def is_restructured(text: str) -> bool:
    """Whether a text is reStructuredText: it has directives, labels or roles and no headings of Markdown."""
    return _RESTRUCTURED.search(text) is not None and _MARKDOWN.search(text) is None


def as_markdown(text: str) -> str:
    r"""The same text as Markdown, with as many lines.

    Titles of every style are headings, ranked by first appearance; what a directive such as `.. note::` holds
    is text; code and literal blocks are fenced; simple tables have pipes. Labels, comments and directives
    that hold no text are empty lines.

    >>> as_markdown("Kettle\n======\n\n.. note:: It is hot.\n")
    '# Kettle\n\n\nIt is hot.\n'
    """
    lines = [line.expandtabs() for line in re.split(r"\r\n?|\n", text)]
    return "\n".join(_rewrite(_titles(lines), 0))


def _titles(lines: Sequence[str]) -> list[str]:
    """The lines with underlined titles, which may also have a line above, as headings of Markdown."""
    found = list(lines)
    ranks: dict[str, int] = {}
    for number in range(1, len(lines)):
        title, ruler = lines[number - 1], lines[number].rstrip()
        above = lines[number - 2].rstrip() if number > 1 else ""
        if not _RULER.fullmatch(ruler) or not any(map(str.isalnum, title)):
            continue
        # By the standard it is as long as the title; in practice it is often a little short.
        if len(ruler) < len(title.strip()) - 2 or title.startswith(".. "):
            continue
        overlined = above == ruler
        if not overlined and (above or title.startswith(" ")):
            continue
        style = ruler[0] + "above" * overlined
        level = min(6, ranks.setdefault(style, len(ranks) + 1))
        found[number - 1 : number + 1] = [f"{'#' * level} {title.strip()}", ""]
        if overlined:
            found[number - 2] = ""
    return found


def _rewrite(lines: Sequence[str], depth: int) -> list[str]:
    """The lines without directives, literal blocks and simple tables, as many as before."""
    found: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if markup := _MARKUP.fullmatch(line):
            end = _body_end(lines, at + 1, len(markup[1]))
            found += _explicit(lines[at:end], depth)
            at = end
        elif _TABLE_BORDER.fullmatch(line) and (end := _table_end(lines, at)):
            found += _table(lines[at:end])
            at = end
        elif line.rstrip().endswith("::") and (end := _literal_end(lines, at)):
            found += [line.rstrip()[:-1].removesuffix(":") if line.strip() == "::" else line.rstrip()[:-1]]
            found += _fenced(lines[at + 1 : end], _indent(line))
            at = end
        else:
            found.append(line)
            at += 1
    return found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _body_end(lines: Sequence[str], at: int, indent: int) -> int:
    """One past the lines that are indented deeper than `indent`, and the empty ones between and after."""
    while at < len(lines) and (not lines[at].strip() or _indent(lines[at]) > indent):
        at += 1
    return at


def _explicit(lines: Sequence[str], depth: int) -> list[str]:
    """What stands for a directive, a footnote, a label or a comment with all its lines."""
    directive = _DIRECTIVE.fullmatch(lines[0])
    empty = [""] * len(lines)
    if directive is None:
        markup = _MARKUP.fullmatch(lines[0])
        footnote = _FOOTNOTE.fullmatch(markup[2] or "") if markup else None
        if markup is None or footnote is None:
            return empty
        return [markup[1] + footnote[1], *_dedented(lines[1:], len(markup[1]), depth)]
    indent, name, argument = len(directive[1]), directive[2], directive[3] or ""
    if name in _SILENT:
        return empty
    options = 1
    while options < len(lines) and _OPTION.fullmatch(lines[options]):
        options += 1
    body = lines[options:]
    if name in _CODE:
        return _code(directive[1], argument if name == "math" else "", options, body)
    # A signature is code, which four spaces make.
    margin = directive[1] + " " * 4 * (_OBJECT.fullmatch(name) is not None)
    first = margin + argument if argument and name not in _NAMED else ""
    return [first, *empty[1:options], *_dedented(body, indent, depth)]


def _code(margin: str, argument: str, options: int, body: Sequence[str]) -> list[str]:
    """A fenced block of `options` lines of a directive and its body."""
    if not any(line.strip() for line in body):
        # A formula may stand in the directive's own line.
        return [margin + f"`{argument}`" if argument else "", *[""] * (options - 1 + len(body))]
    return [*[""] * (options - 1), *_fenced(["", *body], len(margin))]


def _dedented(body: Sequence[str], indent: int, depth: int) -> list[str]:
    """The lines of a body at the indentation of what it belongs to, rewritten themselves."""
    least = min((_indent(line) for line in body if line.strip()), default=0)
    if least <= indent or depth >= _DEEPEST:
        return list(body)
    inner = _rewrite([line[least:] for line in body], depth + 1)
    return [" " * indent + line if line else "" for line in inner]


def _literal_end(lines: Sequence[str], at: int) -> int:
    """One past the literal block that a line ending in `::` announces; 0 where there is none."""
    if at + 1 >= len(lines) or lines[at + 1].strip():
        return 0
    indent = _indent(lines[at])
    if mark := _LIST_MARK.match(lines[at].lstrip()):
        indent += mark.end()
    end = _body_end(lines, at + 1, indent)
    return end if any(line.strip() for line in lines[at + 1 : end]) else 0


def _fenced(lines: Sequence[str], indent: int) -> list[str]:
    """Lines of code between fences, in place of an empty line before and, if there is one, after."""
    margin = " " * indent
    begin = next(number for number, line in enumerate(lines) if line.strip())
    end = len(lines)
    while not lines[end - 1].strip():
        end -= 1
    least = min(_indent(line) for line in lines[begin:end] if line.strip())
    longest = max((len(run) for line in lines for run in re.findall("~+", line)), default=0)
    fence = margin + "~" * max(3, longest + 1)
    code = [margin + line[least:] for line in lines[begin:end]]
    after = [fence, *[""] * (len(lines) - end - 1)] if end < len(lines) else []
    return [*[""] * (begin - 1), fence, *code, *after]


def _table_end(lines: Sequence[str], at: int) -> int:
    """One past the last border of a simple table, which is the second or third; 0 where there is none."""
    borders = []
    for number in range(at, len(lines)):
        blank_follows = number + 1 == len(lines) or not lines[number + 1].strip()
        if _TABLE_BORDER.fullmatch(lines[number]):
            borders.append(number)
            if len(borders) > 1 and (len(borders) == 3 or blank_follows):
                return number + 1
        elif lines[number].strip() and _indent(lines[number]) < _indent(lines[at]):
            return 0
    return 0


def _table(lines: Sequence[str]) -> list[str]:
    """A simple table as one with pipes; a row whose first cell is empty goes on with the one above."""
    margin = " " * _indent(lines[0])
    starts = [match.start() for match in re.finditer("=+", lines[0])]
    rows: list[list[str]] = []
    header = 0
    for line in lines[1:-1]:
        if _TABLE_BORDER.fullmatch(line):
            header = len(rows)
        elif line.strip() and not _SPANNED.fullmatch(line):
            cells = _cells(line, starts)
            if cells[0] or not rows or (len(rows) == header > 0):
                rows.append(cells)
            else:
                rows[-1] = [" ".join(filter(None, pair)) for pair in zip(rows[-1], cells, strict=True)]
    if not rows:
        return [""] * len(lines)
    # The heading may have several rows, which are one in Markdown.
    top = [" ".join(filter(None, column)) for column in zip(*rows[: header or 1], strict=True)]
    written = [top, ["---"] * len(starts), *rows[header or 1 :]]
    found = [f"{margin}| {' | '.join(row)} |" for row in written]
    # An empty line would end the table before its last line.
    return found + [f"{margin}|"] * (len(lines) - len(found))


def _cells(line: str, starts: Sequence[int]) -> list[str]:
    """The cells of a line whose columns begin at these places, where a wide character takes two."""
    wide = "".join(char + "\0" * (unicodedata.east_asian_width(char) in "WF") for char in line)
    ends = [*starts[1:], len(wide)]
    cells = (wide[start:end].replace("\0", "").strip() for start, end in zip(starts, ends, strict=True))
    return [cell.replace("|", "\\|") if cell != "\\" else "" for cell in cells]
