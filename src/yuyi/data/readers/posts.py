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
    at = 0
    fence, raw = _FENCE.search(text), _RAW.search(text)
    while fence or raw:
        # Whichever begins first holds what stands in it, also the signs of the other.
        if fence and (not raw or fence.start() < raw.start()):
            at = _fence_end(text, fence)
            end = f"\n{fence[1]}"
        else:
            assert raw is not None
            at = _raw_end(text, raw)
            end = "\n-->" if raw[1] else f"\n</{raw[2].lower()}>"
        if at < 0:
            return text + end
        if fence and fence.start() < at:
            fence = _FENCE.search(text, at)
        if raw and raw.start() < at:
            raw = _RAW.search(text, at)
    return text


def _fence_end(text: str, opened: re.Match[str]) -> int:
    """Where a block of code ends; -1 where it does not."""
    for match in _FENCE.finditer(text, opened.end()):
        if match[1].startswith(opened[1]) and not match[2].strip():
            return match.end()
    return -1


def _raw_end(text: str, opened: re.Match[str]) -> int:
    """The end of the line on which raw HTML ends; -1 where it does not."""
    if opened[1]:
        end = text.find("-->", opened.end() - 2)
    else:
        match = _RAW_END.search(text, opened.end())
        end = match.start() if match else -1
    return -1 if end < 0 else text.find("\n", end) % (len(text) + 1)
