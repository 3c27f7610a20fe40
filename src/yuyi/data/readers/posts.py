"""What people write in forums and in cells of tables: Markdown, plain text or HTML, as Markdown."""

from __future__ import annotations

import re

_BLOCK = r"(?:p|div|h[1-6]|ul|ol|dl|table|blockquote|pre|article|section|body|html)"
_PAGE = re.compile(r"\s*(?:<!doctype html|<html\b)", re.IGNORECASE)
_BEGINS = re.compile(rf"\s*<{_BLOCK}\b[^>]*>", re.IGNORECASE)
_ENDS = re.compile(rf"<({_BLOCK})\b[^>]*>(?:(?!</?\1\b).)*</\1\s*>\s*\Z", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>", re.IGNORECASE)
# Where HTML shows code, signs of Markdown say nothing, and where Markdown does, tags say nothing.
_HTML_CODE = re.compile(r"<(pre|code)\b(?:(?!<\1\b).)*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)")
_MARKDOWN = re.compile(r"^ {0,3}(?:#{1,6}[ \t]+\S|`{3,}|~{3,})|\]\([^()\s]+\)", re.MULTILINE)
_FENCE = re.compile(r"^ {0,3}(`{3,}(?=[^`\n]*$)|~{3,})([^\n]*)$", re.MULTILINE)
# Blocks of HTML that end where a sign says so and nowhere else, CommonMark 0.31, section 4.6.
_RAW = re.compile(r"^ {0,3}(?:<(!--)|<(pre|script|style|textarea)(?=[\s>]|$))", re.IGNORECASE | re.MULTILINE)
_RAW_END = re.compile(r"</(?:pre|script|style|textarea)>", re.IGNORECASE)


def post_to_markdown(text: str) -> str:
    """The Markdown of a post or cell: HTML is converted, all else stays, its line ends as newlines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not _is_html(text):
        return text
    from yuyi.data.readers.html import fragment_to_markdown, html_to_markdown

    return html_to_markdown(text)[1] if _PAGE.match(text) else fragment_to_markdown(text)


def _is_html(text: str) -> bool:
    """Whether a text is HTML rather than Markdown that holds, or speaks of, some tags.

    It begins with a block; or ends with one, or is mostly tags, and has no blank line. Nothing in it is
    written as Markdown is.
    """
    if "<" not in text or ">" not in text:
        return False
    if _PAGE.match(text):
        return True
    if _MARKDOWN.search(_HTML_CODE.sub("", text)):
        return False
    if _BEGINS.match(text):
        return True
    if "\n\n" in text.strip():  # paragraphs, which HTML would run together
        return False
    outside = _CODE_SPAN.sub("", text)
    tags = sum(len(tag) for tag in _TAG.findall(outside))
    return _ENDS.search(outside) is not None or 2 * tags > len(outside)


def close_code(text: str) -> str:
    """The text with a block of code or raw HTML that it leaves open closed, so that it ends with the text."""
    opened = ""
    outside = []
    at = 0
    for match in _FENCE.finditer(text):
        if not opened:
            opened = match[1]
            outside.append(text[at : match.start()])
        elif match[1].startswith(opened) and not match[2].strip():
            opened = ""
            at = match.end()
    if opened:
        return f"{text}\n{opened}"
    return text + _missing_end("".join([*outside, text[at:]]))


def _missing_end(text: str) -> str:
    """What ends the raw HTML that is open at the end of a text, with the line end before it."""
    at = 0
    while match := _RAW.search(text, at):
        if match[1]:
            at = text.find("-->", match.end() - 2) + 1
        else:
            end = _RAW_END.search(text, match.end())
            at = end.end() if end else 0
        if not at:
            return "\n-->" if match[1] else f"\n</{match[2].lower()}>"
    return ""
