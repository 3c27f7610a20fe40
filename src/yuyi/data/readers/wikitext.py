"""Wikitext to Markdown, in a few passes of regular expressions, each of them linear.

mwparserfromhell builds an exact tree, of which nearly all would be thrown away here, at a seventh of the
speed, and takes minutes for pages that are one long table. What templates would say is not known without the
wiki, so they are dropped, but for the few that only mark up their own words.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from yuyi.data.readers.markup import Cell, code_block, code_span, escape, escape_starts, link, table, term

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Elements whose inside is not wikitext, or that are dropped with it. The end is not sought beyond the next
# beginning, or many that are not closed would take time without bound.
_ELEMENT = re.compile(
    r"<!--.*?(?:-->|\Z)|<(ref|nowiki|pre|syntaxhighlight|source|math|chem|gallery|timeline|imagemap|score|graph"
    r"|templatedata|hiero|references|mapframe|maplink|section|indicator)\b([^<>]*?)"
    r"(?:/>|>((?:[^<]++|<(?!/?\1\b))*+)</\1\s*>)",
    re.DOTALL | re.IGNORECASE,
)
_LANGUAGE = re.compile(r"lang\s*=\s*[\"']?([\w+#-]+)")
_VARIANT = re.compile(r"-\{([^{}]*)\}-")
_TABLE_MARK = re.compile(r"^[ \t:]*\{\|.*$|^[ \t]*\|\}(?!\})", re.MULTILINE)
_TABLE = re.compile("\x02([^\x02\x03]*)\x03")
_ARGUMENT = re.compile(r"\{\{\{([^{}]*)\}\}\}")
_TEMPLATE = re.compile(r"\{\{((?:[^{}]++|\{(?!\{)|\}(?!\}))*+)\}\}")
_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
_EXTERNAL = re.compile(r"\[((?:https?:)?//[^\s\[\]<>]+)[ \t]*([^\[\]\n]*)\]")
_BREAK = re.compile(r"<br\b[^<>]*>|<p\b[^<>]*>|</p>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,1000}>")
_QUOTES = re.compile("'{2,}")
_SWITCH = re.compile(r"__[A-Z]{3,}__|__\w{3,8}__")
_EMPTY_BRACKETS = re.compile(r"[ ]?[(（][\s，,、；;：:]*[)）]|(?<=[(（])[，,、；;\s]+|[，,、；;]\s*(?=[)）])")
_HEADING = re.compile(r"(={1,6})\s*(.*?)\s*\1")
_ITEM = re.compile(r"([*#;:]+)\s*(.*)")
# Marks of the passes: begin and end of a table, a break, what is held. Control characters, which no XML and
# no HTML entity can bring in.
_NO_MARKS = dict.fromkeys(map(ord, "\x02\x03\v\x0e\x0f"))
_HELD = re.compile("\x0e(\\d+)\x0f")
_CELL_ATTRIBUTES = re.compile(
    r"\s*(?:[\w-]+\s*=\s*(?:\"[^\"|]*\"|'[^'|]*'|[^\s|\"']+)\s*|nowrap\s*)+\|(?!\|)"
)
_SPAN = re.compile(r"(col|row)span\s*=\s*[\"']?\s*(\d{1,3})")

# Number of the parameter that holds the words of a template that only marks them up.
_WORDS = {
    "lang": 2, "langx": 2, "nowrap": 1, "nobr": 1, "nobold": 1, "small": 1, "big": 1, "le": 1, "ill": 1,
    "tsl": 3, "link-en": 1, "link-ja": 1, "link-de": 1, "link-fr": 1, "internal link helper": 1, "nihongo": 1,
    "blockquote": 1, "quote": 1, "transl": 2, "abbr": 1, "mvar": 1, "math": 1, "en": 1, "lang-en": 1,
}  # fmt: skip
_MAINLAND = ("zh-hans", "zh-cn", "zh-sg", "zh-my", "zh", "zh-hant", "zh-tw", "zh-hk", "zh-mo")
_DROPPED = frozenset(
    ("file", "image", "category", "media", "文件", "檔案", "档案", "图像", "圖像", "分类", "分類")
)
# Beyond this depth what templates and links hold is left as it is.
_DEEPEST = 40


def wikitext_to_markdown(text: str, namespaces: frozenset[str] = frozenset()) -> str:
    """The Markdown of a page: headings, paragraphs, lists, tables, code, and links to pages by their title.

    Args:
        text: wikitext.
        namespaces: names of the wiki's namespaces in lower case; links into them become their text.
    """
    return _Page(namespaces).markdown(text)


class _Page:
    def __init__(self, namespaces: frozenset[str]) -> None:
        self._namespaces = namespaces
        # Finished Markdown; a mark stands for it until the end.
        self._held: list[str] = []

    def markdown(self, text: str) -> str:
        text = _ELEMENT.sub(self._element, text.translate(_NO_MARKS))
        text = _repeat(_VARIANT, _variant, text)
        text = _TABLE_MARK.sub(_table_mark, text)
        text = _repeat(_TEMPLATE, _template, _ARGUMENT.sub(_argument, text))
        text = _repeat(_LINK, self._link, _EXTERNAL.sub(self._external, text))
        text = _TAG.sub("", _BREAK.sub("\v", text))
        text = _EMPTY_BRACKETS.sub("", _SWITCH.sub("", _QUOTES.sub("", text)))
        text = _repeat(_TABLE, self._table, text)
        return self._shown("\n\n".join(_blocks(text))).translate(_NO_MARKS).strip()

    def _hold(self, markdown: str) -> str:
        self._held.append(markdown)
        return f"\x0e{len(self._held) - 1}\x0f"

    def _shown(self, text: str) -> str:
        while "\x0e" in text:
            text = _HELD.sub(lambda match: self._held[int(match[1])], text)
        return text

    def _element(self, match: re.Match[str]) -> str:
        name, inside = (match[1] or "").lower(), match[3] or ""
        if name == "nowiki":
            return self._hold(escape(html.unescape(inside)))
        if name in ("math", "chem"):
            return self._hold(f"${' '.join(inside.split())}$")
        if name in ("pre", "syntaxhighlight", "source"):
            if "inline" in match[2]:
                return self._hold(code_span(inside))
            said = _LANGUAGE.search(match[2])
            return f"\n\n{self._hold(code_block(inside.strip(chr(10)), said[1] if said else ''))}\n\n"
        return ""

    def _link(self, match: re.Match[str]) -> str:
        target, _, text = match[1].partition("|")
        shown = " ".join((text or target.lstrip(":")).split())
        space, colon, _ = target.partition(":")
        space = space.strip().lower()
        if colon and not space:
            return shown
        if colon and (space in _DROPPED or re.fullmatch(r"[a-z]{2,3}(?:-[a-z]+)*", space)):
            return "" if space in _DROPPED or not text else shown
        page = target.partition("#")[0].replace("_", " ").strip()
        if not page or (colon and space in self._namespaces):
            return shown
        return self._hold(link(_inline(shown), page[0].upper() + page[1:])) if shown else ""

    def _external(self, match: re.Match[str]) -> str:
        return self._hold(link(_inline(match[2]), match[1])) if match[2].strip() else ""

    def _table(self, match: re.Match[str]) -> str:
        caption, rows = _rows(match[1])
        said = [caption] if caption else []
        if any("\n" in self._shown(cell.text) for row in rows for cell in row):
            # A table inside a cell, or code: it lays out a page.
            said += [cell.text for row in rows for cell in row if cell.text]
            return "\n\n" + "\n\n".join(said) + "\n\n"
        body = table(
            [cell._replace(text=_inline(cell.text.replace("\v", " "))) for cell in row] for row in rows
        )
        return "\n\n" + "\n\n".join([*said, self._hold(body)] if body else said) + "\n\n"


def _repeat(pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str) -> str:
    """The text with matches replaced from the innermost outwards."""
    for _ in range(_DEEPEST):
        text, count = pattern.subn(replace, text)
        if not count:
            break
    return text


def _table_mark(match: re.Match[str]) -> str:
    return "\x02" if "{|" in match[0] else "\x03"


def _argument(match: re.Match[str]) -> str:
    return match[1].partition("|")[2]


def _variant(match: re.Match[str]) -> str:
    """What stands between the marks of language variants for a reader of simplified Chinese."""
    flags, bar, content = match[1].rpartition("|")
    if (
        bar
        and any(flag in flags.upper().split(";") for flag in ("H", "T", "-", "A"))
        and "A" not in flags.upper()
    ):
        return ""
    choices: dict[str, str] = {}
    for choice in content.split(";"):
        code, colon, words = choice.partition(":")
        if colon and code.strip().lower().startswith("zh"):
            choices[code.rpartition("=>")[2].strip().lower()] = words.strip()
    if not choices:
        return content
    return next((choices[code] for code in _MAINLAND if choices.get(code)), "")


def _template(match: re.Match[str]) -> str:
    name, *parameters = match[1].split("|")
    wanted = _WORDS.get(name.strip().lower().replace("_", " "))
    if wanted is None:
        return ""
    plain = [parameter for parameter in parameters if not re.match(r"\s*[\w-]+\s*=", parameter)]
    named = next((p.partition("=")[2] for p in parameters if p.partition("=")[0].strip() == str(wanted)), "")
    return (named or (plain[wanted - 1] if len(plain) >= wanted else "")).strip()


def _rows(text: str) -> tuple[str, list[list[Cell]]]:
    """The caption of a table and its cells."""
    caption = ""
    rows: list[list[Cell]] = [[]]
    for line in text.split("\n"):
        line = line.strip()
        if line.startswith("|-"):
            rows.append([])
        elif line.startswith("|+"):
            caption = _CELL_ATTRIBUTES.sub("", line[2:], count=1).strip()
        elif line.startswith(("|", "!")):
            joined = line[1:].replace("!!", "||") if line[0] == "!" else line[1:]
            rows[-1] += map(_cell, joined.split("||"))
        elif rows[-1] and line:
            cell = rows[-1][-1]
            rows[-1][-1] = cell._replace(text=f"{cell.text} {line}".strip())
    return caption, [row for row in rows if row]


def _cell(text: str) -> Cell:
    match = _CELL_ATTRIBUTES.match(text)
    if match is None:
        return Cell(text.strip())
    spans = {name: int(count) for name, count in _SPAN.findall(match[0])}
    return Cell(text[match.end() :].strip(), spans.get("col", 1), spans.get("row", 1))


def _blocks(text: str) -> Iterator[str]:
    """The blocks of Markdown that lines of wikitext make."""
    paragraph: list[str] = []
    items: list[str] = []
    counts: list[int] = []
    for line in [*text.split("\n"), ""]:
        line = line.strip()
        item = _ITEM.match(line)
        if paragraph and (item or not line or line[0] in "=-"):
            yield escape_starts("\n".join(paragraph))
            paragraph = []
        if item:
            _add_item(items, counts, *item.groups())
            continue
        if items:
            yield "\n".join(items)
            items, counts = [], []
        if heading := _HEADING.fullmatch(line):
            if said := _inline(heading[2].replace("\v", " ")):
                yield f"{'#' * len(heading[1])} {said}"
        elif line and line.strip("-"):
            paragraph += [said for piece in line.split("\v") if (said := _inline(piece))]


def _add_item(items: list[str], counts: list[int], marks: str, words: str) -> None:
    """Add a line of a list to the Markdown of the list."""
    said = _inline(words.replace("\v", " "))
    last = marks[-1]
    if not said:
        return
    if last == ";":
        words, colon, rest = said.partition(": ")
        items.append(f"- {term(words)}{rest}" if colon else f"- {said}")
    elif last == ":":
        # The explanation of a term; without one, a line that is set in.
        items[-1:] = [f"{term(items[-1])}{said}"] if items else [said]
    else:
        depth = len(marks.replace(":", ""))
        del counts[depth:]
        counts += [0] * (depth - len(counts))
        counts[-1] = counts[-1] + 1 if last == "#" else 0
        marker = f"{counts[-1]}." if last == "#" else "-"
        items.append(f"{'   ' * (depth - 1)}{marker} {said}")


def _inline(text: str) -> str:
    return escape(" ".join(html.unescape(text).split()))
