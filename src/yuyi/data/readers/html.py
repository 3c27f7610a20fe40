"""HTML to Markdown: the main content of a page, or the body of a post.

lexbor (by selectolax) parses what browsers parse, however broken. The content is where sites of known kinds
put it, or else the element that holds most of the text.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

from yuyi.data.clean import match_key, weight
from yuyi.data.readers.furniture import UNSEEN, is_furniture
from yuyi.data.readers.html_writer import BLOCKS, Writer, walk

# Where sites put their content, most exact first; what says less than `_LEAST_MAIN` is passed over.
_MAIN = (
    ".theme-doc-markdown",
    ".vp-doc",
    ".theme-default-content",
    "[itemprop=articleBody]",
    ".markdown-body",
    "article",
    "main",
    "[role=main]",
    "#mw-content-text",
    "#content",
    ".article-content, .post-content, .entry-content, .post-body",
)
_LEAST_MAIN = 60
# Without such an element: go down to the child that holds at least this share of the text outside links, not
# counting pieces of less than that `weight`, which are labels.
_MOST_OF_IT = 0.6
_LEAST_PIECE = 10

# The parser takes time by the square of the depth. Elements that end where the next begins are not counted.
_DEEPEST_TREE = 1_000
_NESTING = re.compile(
    r"<(/?)(?!(?:p|li|d[td]|t[drh]|tbody|thead|br|hr|img|input|link|meta|wbr|option|source|col)\b)[a-z]\w*",
    re.IGNORECASE,
)
_TITLE_END = re.compile(r"\s+[-|–—·»:]{1,2}\s+|\s*[|_｜]\s*")


def html_to_markdown(html: str) -> tuple[str, str]:
    """The title of a page and the Markdown of its main content.

    Headings, paragraphs, lists, definitions (`- term: explanation`), tables, code and links are kept; links
    keep their target as it stands. Navigation, headers, footers, notices and scripts are left out.
    """
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(_not_too_deep(html))
    body = tree.body
    if body is None or _leads_elsewhere(tree):
        return _title(tree, []), ""
    for selector in _MAIN:
        found = [node for node in tree.css(selector) if not is_furniture(node)]
        writer = Writer()
        if len(found) == 1 and weight(text := writer.render(found[0])) >= _LEAST_MAIN:
            return _title(tree, writer.headings), text
    writer = Writer(whole_page=True)
    text = writer.render(_most_of(body)) or writer.render(body)
    return _title(tree, writer.headings), text


def fragment_to_markdown(html: str) -> str:
    """The Markdown of a piece of HTML, such as the body of a post, all of it content."""
    from selectolax.lexbor import LexborHTMLParser

    body = LexborHTMLParser(_not_too_deep(html)).body
    return "" if body is None else Writer(everything=True).render(body)


def _not_too_deep(html: str) -> str:
    """The page without the tags that would open an element deeper than `_DEEPEST_TREE`."""
    if html.count("<") <= _DEEPEST_TREE:
        return html
    steps = accumulate(-1 if closing else 1 for closing in _NESTING.findall(html))
    if max(steps, default=0) <= _DEEPEST_TREE:
        return html
    depth = 0

    def keep(tag: re.Match[str]) -> str:
        nonlocal depth
        depth = max(0, depth - 1) if tag[1] else depth + 1
        return tag[0] if depth <= _DEEPEST_TREE else "<wbr "

    return _NESTING.sub(keep, html)


def _leads_elsewhere(tree: Any) -> bool:
    """Whether a page only sends its reader to another."""
    refresh = tree.css_first('meta[http-equiv="refresh" i]')
    return refresh is not None and "url" in (refresh.attributes.get("content") or "").lower()


def _title(tree: Any, headings: list[tuple[int, str]]) -> str:
    """The first heading of the content, or of the page, or the page's `<title>` without the site's name."""
    node = tree.css_first("title")
    whole = " ".join(node.text().split()) if node else ""
    for level, heading in headings:
        said = _plain(heading)
        # Nothing is left of one that is a sign, and that is in every title.
        if (key := match_key(said)) and (level == 1 or key in match_key(whole)):
            return said
    for node in tree.css("h1"):
        said = _plain(Writer(flat=True).render(node))
        if (key := match_key(said)) and key in match_key(whole):
            return said
    card = tree.css_first('meta[property="og:title"]')
    said = (card.attributes.get("content") or "").strip() if card else ""
    return said or _TITLE_END.split(whole)[0] or whole


def _plain(markdown: str) -> str:
    """The text of one line of Markdown."""
    from yuyi.text.markdown import parse

    return " ".join(block.text for block in parse(markdown))


def _most_of(body: Any) -> Any:
    """The smallest element that holds most of the text outside links."""
    sizes: dict[int, int] = {}
    open_ids: list[int] = []

    def enter(node: Any) -> bool:
        tag = node.tag
        if tag == "-text":
            size = weight(node.text_content or "")
            for above in open_ids if size >= _LEAST_PIECE else ():
                sizes[above] = sizes.get(above, 0) + size
            return False
        if tag == "a" or tag in UNSEEN or tag in ("header", "aside") or is_furniture(node, by_id=True):
            return False
        open_ids.append(node.mem_id)
        return True

    walk(body, enter, open_ids.pop)
    node = body
    while True:
        inside = [child for child in node.iter() if child.tag in BLOCKS and child.tag != "p"]
        largest = max(inside, key=lambda child: sizes.get(child.mem_id, 0), default=None)
        whole = max(1, sizes.get(node.mem_id, 0))
        if largest is None or sizes.get(largest.mem_id, 0) < _MOST_OF_IT * whole:
            return node
        node = largest
