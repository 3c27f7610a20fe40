"""Markdown to a flat list of blocks of plain text, each with its headings and its place in the original.

markdown-it-py finds the blocks (CommonMark and tables). Inline markup is parsed only where a block holds a
character that could be markup, which for prose is seldom; that makes it about twice as fast. Plain text is
Markdown without markup, with two cares: indented prose is not code, and a long run of lines without a blank
line is cut at line ends. reStructuredText is rewritten first, and the few habits of documentation generators
that would otherwise read as text are understood too.
"""

from __future__ import annotations

import functools
import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from yuyi.text.restructured import as_markdown, is_restructured

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Kind = Literal["heading", "paragraph", "list_item", "quote", "table", "code"]
Link: TypeAlias = tuple[str, str]

# Longer than any heading a person writes: what CommonMark then calls a heading is a paragraph over a ruler.
_LONGEST_HEADING = 200
# A paragraph longer than the first number is cut at line ends into pieces of at least the second.
_LONG_PARAGRAPH, _PIECE = 2_000, 500
# Beyond this many characters inline markup is left as it is: the inline parser is quadratic on hostile input.
_LONGEST_INLINE = 20_000

_LINE_END = re.compile(r"\r\n?|\n")
# YAML between rulers, all of whose lines are keys, items, comments, or go on indented; as some sites write
# it, without the opening ruler; and TOML. The prose between two rulers is none of it.
_FRONT_MATTER_BEGIN = re.compile(r"\ufeff?(---|\+\+\+)[ \t]*\r?\n(?![ \t]*\r?\n)")
_FRONT_MATTER_END = {"---": ("---", "..."), "+++": ("+++",)}
_FRONT_MATTER_KEY = {
    "---": re.compile(r"[\w.'\"/@-]+(?: [\w-]+){0,2}:(?:\s.*)?"),
    "+++": re.compile(r"[\w.'\"-]+\s*=.*|\[.*\]"),
}
_FRONT_MATTER_LINE = re.compile(r"(?:-\s|[ \t]|#).*|[-\]}]?,?|\"\"\"|'''")
_FRONT_MATTER_UNOPENED = re.compile(r"\ufeff?(?:[a-z]\w*:.*\n){1,20}(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)")
_LONGEST_FRONT_MATTER = 20_000
_FRONT_MATTER_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(['\"]?)(\S.*?)\1[ \t\r]*$", re.MULTILINE)
# A sign that could be markup where it stands: `snake_case`, `a < b` and `R&D` are none.
_MARKUP = re.compile(r"[\[*`]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|\\(?=[!-/:-@\[-`{-~\n])|(?<![^\W_])_|_(?![^\W_])")
# Markup whose meaning does not hang on what stands around it: most of what prose has.
_PLAIN_MARKUP = re.compile(
    r"(?<!`)(`+)(?!`)(?P<code>.+?)(?<!`)\1(?!`)"
    r"|(?<!\*)\*\*(?P<bold>[^\W_](?:[^\[\]*_`<&\\\n]*[^\W_])?)\*\*(?!\*)"
    r"|!?\[(?P<shown>(?:[^\[\]*_`<&\\!]|(?<=[^\W_])_(?=[^\W_])|`[^`\n]+`)*)\]\((?P<target>[^\s()<>\\&*`\[\]]*)\)",
    re.DOTALL,
)
_INDENTED_LINE = re.compile(r"(?<![ \t])[ \t]*\n[ \t]*")
_BREAK_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_HTML_UNSEEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|pre|svg)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.I)
_HTML_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_HEADING_ANCHOR = re.compile(r"\s*\{#[^{}]*\}\s*$")
_TIGHT_HEADING = re.compile(
    r"(#{2,6})([^#\s!].*)"
)  # "##标题": common in Chinese files, no heading to CommonMark
_DIRECTIVE = re.compile(
    r"^[ \t]*+(?::{3,}.*|\[!\w+\]\s*|[?!]{3}\+? +\w+\s*|\{%.*%\}\s*)$\n?|^\[!\w+\][ \t]*|^[?!]{3}\+? +\w+"
    r"|\[!INCLUDE[^\]]*\]",
    re.MULTILINE,
)
_CODE_SIGNS = re.compile(r"[{}();=<>$|\\]|^\s*[#/.]", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?][\"')]?\s*\Z")
_IDEOGRAPH = re.compile(r"[\u3400-\u9fff]")
_RESTRUCTURED_ROLE = re.compile(r"(?<!\w):(pep|rfc)?(?:\w[\w:-]*)?:(?=`)|`_{1,2}(?!\w)|\s?\[[#\w-]+\]_(?!\w)")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a document as plain text.

    Attributes:
        kind: `heading`, `paragraph`, `list_item`, `quote`, `table` or `code`.
        text: its plain text; line breaks of the original are kept. Links are their text, images and HTML tags
            are dropped, a table has a line a row with its cells joined by ` | `.
        path: the headings above it, title first; a heading's own text is not in its path.
        start: offset of its first character in the original text, markup included.
        end: offset one past its last.
        level: of a heading, 1 for the highest; 0 for other kinds.
        links: shown text and target of each link, as they stand.
    """

    kind: Kind
    text: str
    path: tuple[str, ...]
    start: int
    end: int
    level: int = 0
    links: tuple[Link, ...] = ()


def parse(text: str) -> list[Block]:
    """The blocks of a Markdown, reStructuredText or plain text in order, those without any text left out."""
    skipped = front_matter_end(text)
    title = _front_matter_title(text, skipped) if skipped else None
    blocks: list[Block] = []
    stack: list[tuple[int, str]] = []
    if title is not None:
        blocks.append(title)
        stack.append((1, title.text))
    path = tuple(heading for _, heading in stack)
    for raw, start, end in _raw_blocks(text, skipped):
        if raw.kind == "heading":
            while stack and stack[-1][0] >= raw.level:
                stack.pop()
            path = tuple(heading for _, heading in stack)
        blocks.append(Block(raw.kind, raw.text, path, start, end, raw.level, raw.links))
        if raw.kind == "heading":
            stack.append((raw.level, raw.text))
            path = (*path, raw.text)
    return blocks


def front_matter_end(text: str) -> int:
    """Length of the YAML or TOML that a text begins with, its rulers included; 0 where there is none."""
    opened = _FRONT_MATTER_BEGIN.match(text)
    if opened is None:
        unopened = _FRONT_MATTER_UNOPENED.match(text)
        return unopened.end() if unopened else 0
    sign, end = opened[1], opened.end()
    keys = 0
    for line in text[end : end + _LONGEST_FRONT_MATTER].splitlines(keepends=True):
        end += len(line)
        if line.rstrip() in _FRONT_MATTER_END[sign]:
            return end if keys or line == text[opened.end() : end] else 0
        is_key = _FRONT_MATTER_KEY[sign].fullmatch(line.rstrip()) is not None
        keys += is_key
        if not is_key and not _FRONT_MATTER_LINE.fullmatch(line.rstrip()):
            return 0
    return 0


def _front_matter_title(text: str, end: int) -> Block | None:
    title = _FRONT_MATTER_TITLE.search(text, 0, end)
    return Block("heading", title[2], (), title.start(2), title.end(2), 1) if title else None


class _Raw(NamedTuple):
    """A block before its place is known; `first` and `last` are its first line and one past its last."""

    kind: Kind
    level: int
    text: str
    first: int
    last: int
    links: tuple[Link, ...] = ()


def _raw_blocks(text: str, skipped: int) -> Iterator[tuple[_Raw, int, int]]:
    """Each block that holds text, its start and its end."""
    source = text[skipped:] if skipped else text
    lines = [0, *(match.end() for match in _LINE_END.finditer(source)), len(source)]

    def place(first: int, last: int) -> tuple[int, int]:
        start, end = lines[first], lines[min(last, len(lines) - 1)]
        raw = source[start:end]
        return skipped + start + len(raw) - len(raw.lstrip()), skipped + start + len(raw.rstrip())

    # Places are told by lines, of which both have as many.
    for raw in _tokens_to_blocks(as_markdown(source) if is_restructured(source) else source):
        if raw.text and not raw.text.isspace():
            yield raw, *place(raw.first, raw.last)


def _tokens_to_blocks(source: str) -> Iterator[_Raw]:
    env: dict[str, object] = {}
    tokens = _parser().parse(source, env)
    containers: list[Kind] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        index += 1
        match token.type:
            case "list_item_open":
                containers.append("list_item")
            case "blockquote_open":
                containers.append("quote")
            case "list_item_close" | "blockquote_close":
                containers.pop()
            case "heading_open" | "paragraph_open":
                inline = tokens[index]
                level = int(token.tag[1]) if token.type == "heading_open" and not containers else 0
                yield from _prose(inline, level, containers[-1] if containers else "paragraph", env)
            case "table_open":
                close = next(at for at in range(index, len(tokens)) if tokens[at].type == "table_close")
                links: list[Link] = []
                table = _table(tokens[index:close], env, links)
                yield _Raw("table", 0, table, *_lines(token), tuple(links))
                index = close + 1
            case "fence":
                yield _Raw("code", 0, token.content, *_lines(token))
            case "code_block":
                yield _Raw(_indented_kind(token.content), 0, token.content.strip(), *_lines(token))
            case "html_block":
                kind: Kind = "table" if "<tr" in token.content else "paragraph"
                yield _Raw(kind, 0, _html_text(token.content), *_lines(token))
            case _:
                pass


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    class Parser(MarkdownIt):
        # A target is kept as it stands: it is looked up, never opened.
        def validateLink(self, url: str) -> bool:
            return True

        def normalizeLink(self, url: str) -> str:
            return url

    # Inline parsing is called from here, block by block and only where it can matter.
    return Parser("commonmark", {"maxNesting": 50}).enable("table").disable(["inline", "text_join"])


def _lines(token: Token) -> tuple[int, int]:
    assert token.map is not None, "markdown-it gives every block token its lines"
    return token.map[0], token.map[1]


def _prose(inline: Token, level: int, kind: Kind, env: dict[str, object]) -> Iterator[_Raw]:
    """One heading, or the block or blocks that a paragraph makes."""
    first, last = _lines(inline)
    content = inline.content
    links: list[Link] = []
    if level and len(content) <= _LONGEST_HEADING:
        text = _heading_text(_inline_text(content, env, links))
        yield _Raw("heading", level, text, first, last, tuple(links))
    elif content.startswith("##") and kind == "paragraph" and (tight := _TIGHT_HEADING.fullmatch(content)):
        text = _heading_text(_inline_text(tight[2], env, links))
        yield _Raw("heading", len(tight[1]), text, first, last, tuple(links))
    else:
        for offset, count, piece in _pieces(content):
            links.clear()
            text = _DIRECTIVE.sub("", _inline_text(piece, env, links)).strip()
            yield _Raw(kind, 0, text, first + offset, first + offset + count, tuple(links))


def _pieces(content: str) -> Iterator[tuple[int, int, str]]:
    """First line, number of lines and content of each piece of a paragraph; only long ones have several."""
    if len(content) <= _LONG_PARAGRAPH:
        yield 0, content.count("\n") + 1, content
        return
    begun: list[str] = []
    size = 0
    for number, line in enumerate(content.split("\n")):
        begun.append(line)
        size += len(line)
        if size >= _PIECE:
            yield number + 1 - len(begun), len(begun), "\n".join(begun)
            begun, size = [], 0
    if begun:
        yield content.count("\n") + 1 - len(begun), len(begun), "\n".join(begun)


def _inline_text(content: str, env: dict[str, object], links: list[Link]) -> str:
    """Plain text of a block's inline markup; what it links to is added to `links`."""
    if _MARKUP.search(content) is None or len(content) > _LONGEST_INLINE:
        return _INDENTED_LINE.sub("\n", content)
    if ":`" in content or "`_" in content or "]_" in content:
        content = _RESTRUCTURED_ROLE.sub(_plain_role, content)
    if _MARKUP.search(_PLAIN_MARKUP.sub(".", content)) is None:
        text = _PLAIN_MARKUP.sub(functools.partial(_plain_text, links), content)
        return _INDENTED_LINE.sub("\n", text).strip()
    tokens: list[Token] = []
    parser = _parser()
    parser.inline.parse(content, parser, env, tokens)
    texts: list[str] = []
    for token in tokens:
        if token.type == "link_open":
            opened, target = len(texts), str(token.attrs["href"])
        elif token.type == "link_close":
            links.append(("".join(texts[opened:]).strip(), target))
        else:
            texts.append(_token_text(token))
    return "".join(texts).strip()


def _plain_text(links: list[Link], markup: re.Match[str]) -> str:
    """What stands for a match of `_PLAIN_MARKUP`; a link is added to `links`."""
    if code := markup["code"]:
        code = code.replace("\n", " ")
        return code[1:-1] if code[0] == code[-1] == " " and not code.isspace() else code
    if markup["bold"]:
        return markup["bold"]
    if markup[0].startswith("!"):
        return ""
    shown = markup["shown"].replace("`", "")
    links.append((shown.strip(), markup["target"]))
    return shown


def _plain_role(match: re.Match[str]) -> str:
    """What stands for a role, the end of a reference, or a footnote mark of reStructuredText."""
    if match[1]:
        return f"{match[1].upper()} "
    return "`" if match[0].startswith("`") else ""


def _token_text(token: Token) -> str:
    match token.type:
        case "text" | "text_special" | "code_inline":
            return token.content
        case "softbreak" | "hardbreak":
            return "\n"
        case "html_inline":
            return "\n" if _BREAK_TAG.match(token.content) else ""
        case _:
            return ""


def _heading_text(text: str) -> str:
    """A heading on one line, without its anchor and without the ruler that may stand above it."""
    lines = (line.strip() for line in _HEADING_ANCHOR.sub("", text).splitlines())
    return " ".join(line for line in lines if any(map(str.isalnum, line)))


def _table(tokens: Sequence[Token], env: dict[str, object], links: list[Link]) -> str:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.content:
            rows[-1].append(_inline_text(token.content, env, links).replace("\n", " "))
    return "\n".join(" | ".join(cells) for cells in rows if cells)


def _indented_kind(content: str) -> Kind:
    """`paragraph` where indented text is prose, as in many plain text files; else `code`."""
    ideographs = len(_IDEOGRAPH.findall(content))
    if ideographs * 3 > len(content) - content.count(" "):
        return "paragraph"
    is_prose = (
        _SENTENCE_END.search(content) and _CODE_SIGNS.search(content) is None and content.count(" ") > 8
    )
    return "paragraph" if is_prose else "code"


def _html_text(content: str) -> str:
    text = _HTML_TAG.sub(" ", _BREAK_TAG.sub("\n", _HTML_UNSEEN.sub("", content)))
    lines = (" ".join(line.split()) for line in html.unescape(text).splitlines())
    return "\n".join(line for line in lines if line)
