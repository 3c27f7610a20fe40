"""What stands on a page around its content, told by tags and by the classes that sites give it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

# Tags that never hold content.
UNSEEN = frozenset((
    "script", "style", "noscript", "template", "svg", "iframe", "object", "embed", "canvas", "audio",
    "video", "head", "nav", "footer", "button", "select", "option", "input", "textarea", "dialog", "menu",
    "rt", "rp", "img",
))  # fmt: skip
# Words of a class or id by which sites mark what is no content.
_FURNITURE = re.compile(
    r"(?:^|\s)(?:(?!has-|with|no-|is-)\S*(?:cookie|consent|gdpr|breadcrumb|sidebar|navbar|pagination|advert"
    r"|newsletter|paywall|skip-?link|skip-to|table-?of-?contents|edit-this-page|back-to-top|prev-?next|copyright"
    r"|related-|recommend)\S*|(?:page|site|doc|article|post)-(?:nav|footer|toc|edit|meta)|share-\S+|nav|toc"
    r"|footer|menu|toolbar|ads?|share|social|related|linenos|linenodiv|lineno|gutter"
    r"|line-numbers(?:-wrapper|-rows)|theme-doc-(?:toc|footer|version)\S*|tocCollapsible\S*|rst-footer-buttons"
    r"|mw-editsection|reflist|navbox|catlinks|noprint|sr-only|visually-hidden|screen-reader-text|comments?"
    r"|comment-list)(?=\s|$)",
    re.IGNORECASE,
)


def is_furniture(node: Any, *, by_id: bool = False) -> bool:
    """Whether an element is navigation, a notice or the like, by its class.

    Args:
        node: the element.
        by_id: whether its id tells too. Inside the content an id is that of a section, which may well be
            about cookies.
    """
    attributes = node.attributes
    if not attributes:
        return False
    named = attributes.get("class") or ""
    if by_id and attributes.get("id"):
        named += f" {attributes['id']}"
    return (
        (named != "" and _is_furniture_name(named))
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
    )


@lru_cache(maxsize=10_000)
def _is_furniture_name(named: str) -> bool:
    return _FURNITURE.search(named) is not None
