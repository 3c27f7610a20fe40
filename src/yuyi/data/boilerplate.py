"""What a block must look like to be left out, each look with its name.

Every rule is exact rather than complete: what it names should be right nineteen times of twenty. What many
documents of a source repeat is found by counting instead, in `data/clean_documents.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yuyi.data.clean import weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.text.markdown import Kind, Link

# A block that is longer than this many characters says something, whatever it begins with.
_LONGEST_NOTICE = 600
# A block of which links make up this share says where to read on, and nothing else.
_LINK_SHARE = 0.8
_LONGEST_LINKS = 80

_BROKEN = re.compile("\ufffd|锟斤拷|烫烫烫|屯屯屯")
_TEMPLATE = re.compile(
    r"(?:\{\{[^{}]*\}\}|\{%[^{}]*%\}|\[%[^\[\]]*%\]|<%[^<>]*%>|:{3,}[ \t]*[\w-]*|\[\[_?toc_?\]\]|\[toc\]|\$\{[^{}]*\}|\s)+",
    re.IGNORECASE,
)
_LICENCE = re.compile(
    r"\W*(?:(?:(?:this|the) \w+ (?:\w+ )?(?:is|are) )?(?:dual[- ])?licen[sc]ed (?:to|under)\b"
    r"|copyright (?:\W|\d|by\b|\w+ \d{4})|all rights reserved|permission is hereby granted|redistribution and use in"
    r"|the above copyright notice|the software is provided|this (?:document|article|work) (?:has been|is) placed in "
    r"the public domain|this work is licen[sc]ed|版权(?:声明|所有|归)|著作权归|(?:本|该)(?:作品|文|书|项目|站|仓库|译文)"
    r".{0,20}(?:采用|使用|遵循|基于|以).{0,40}(?:许可|授权|协议)|未经.{0,12}(?:许可|授权|同意).{0,20}(?:转载|使用|复制)"
    r"|(?:禁止|谢绝).{0,6}转载|转载(?:请|须|需|时).{0,20}(?:注明|联系|保留))",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"\W*(?:via\s*[:：]|(?:原文)?作者\s*[:：]|(?:译者|校对者?|审校|选题|编译|译文(?:出自|地址|链接|永久链接)?|翻译|本文永久链接|编辑"
    r"|原文(?:链接|地址|作者)?|原文标题|本文地址|转载自?|来源|出处|更新时间|发布日期|发表时间|题图|图源|封面|校稿)\s*[:：]"
    r"|本文由.{0,40}(?:编译|首发|发布|翻译)|本译文.{0,30}|(?:translated|written|posted|edited|reviewed|proofread) by\b.{0,60}$"
    r"|author\s*[:：].{0,60}$|translator\s*[:：])",
    re.IGNORECASE,
)
_ADVERT = re.compile(
    r".{0,40}(?:关注.{0,16}公众号|公众号.{0,16}(?:关注|回复|二维码|搜索)|扫码.{0,10}(?:关注|加群|进群|加入)|(?:加入|进).{0,8}(?:qq|微信|交流)群"
    r"|点(?:个|一?下)?\s*(?:赞|star|在看).{0,20}(?:支持|鼓励)|微信搜(?:一搜|索))",
    re.IGNORECASE,
)
_NAVIGATION = re.compile(
    r"\W*(?:(?:上一?[篇页章节]|下一?[篇页章节]|previous|next|prev)\s*[:：>»|].*|(?:previous|next|prev|上一?[篇页章节]|下一?[篇页章节])"
    r"|edit (?:this|the) page.{0,40}|编辑(?:本页|此页)(?:面)?|(?:back|return) to (?:the )?(?:top|contents|index|home)\b.{0,20}"
    r"|(?:返回|回到)(?:目录|顶部|首页|上一级|主页)|table of contents|on this page|in this (?:article|section)\W?|本文内容|目录"
    r"|skip to (?:main )?content|was this (?:page|article).{0,20}helpful\W?|此(?:页|文).{0,8}有(?:帮助|用)吗?\W?"
    r"|(?:home|首页)\s*(?:[>»/›|].{0,100})?|(?:\w[\w ]{0,30}\s*[>»›]\s*){3,}[\w ]{0,30}|english(?: version)?(?:\s*[|/]\s*.{0,20})?"
    r"|中文文档|中文版|简体中文(?:\s*[|/]\s*.{0,20})?|english\s*[|｜].{0,40})\W*",
    re.IGNORECASE,
)
_BOILERPLATE = re.compile(
    r"\W*(?:this (?:file|page|document) (?:is|was) (?:automatically |auto-?)?generated|do not edit|last (?:updated|modified)\b.{0,40}$"
    r"|(?:最后|最近)(?:更新|修改)(?:于|时间)?.{0,40}$|more information\s*[:：]|更多信息\s*[:：]|cookie(?:s)? (?:policy|settings)$"
    r"|description\W+keywords\W"
    # The dates of a law: passed, published, amended. Atomic, so that a long list is not tried in every way.
    r"|\W*(?>\d{4}年\d{1,2}月\d{1,2}日[^。\n]{2,90}(?:通过|公布|施行|修订|修正|批准|发布|废止|改)\W*)++$)",
    re.IGNORECASE,
)
_FIELD = re.compile(r"[\w.-]{2,30}:(?: .*)?$")
_MARK = re.compile(r"\W+")

_LICENCE_FILE = re.compile(
    r"(?:^|/)(?:licen[sc]es?|copying|unlicense|notice)(?:[-._][\w.-]*)?$", re.IGNORECASE
)
_PROJECT_FILE = re.compile(
    r"(?:^|/)(?:contributing|contributors|code[-_]of[-_]conduct|change-?logs?|changes|authors|maintainers|governance"
    r"|codeowners|pull_request_template|issue_template(?:/.*)?|security|releasing|贡献指南|贡献者|更新日志)(?:[-._](?:zh|en|cn)[\w-]*)?"
    r"(?:\.\w{1,8})?$",
    re.IGNORECASE,
)
_LICENCE_TEXT = re.compile(
    r"\W*(?:the )?(?:mit license|apache license\s+version|bsd \d-clause|gnu (?:lesser |affero )?general public license"
    r"|mozilla public license|creative commons (?:legal code|attribution)|attribution-\w+)",
    re.IGNORECASE,
)


def document_reason(doc_id: str, text: str) -> str:
    """`licence` or `project file` where a document is a licence, a change log or a contributor's guide."""
    if _LICENCE_FILE.search(doc_id) or _LICENCE_TEXT.match(text, 0, 400):
        return "licence"
    return "project file" if _PROJECT_FILE.search(doc_id) else ""


def block_reason(kind: Kind, raw: str, text: str, links: Sequence[Link]) -> str:
    """Why a block says nothing about its subject, or the empty string.

    Args:
        kind: what it is; a heading is left out only where it cannot be read.
        raw: its text as it stood, lines kept.
        text: the same cleaned.
        links: those in it.
    """
    if _is_broken(raw):
        return "mojibake"
    if kind == "heading":
        return ""
    if _TEMPLATE.fullmatch(raw):
        return "template"
    if _is_fields(raw):
        return "front matter"
    if links and _is_links(text, links):
        return "navigation"
    if kind == "table" or len(text) > _LONGEST_NOTICE:
        return "licence" if _LICENCE.match(text) and kind != "table" else ""
    if _NAVIGATION.fullmatch(text):
        return "navigation"
    if _LICENCE.match(text):
        return "licence"
    if _CREDIT.match(text) or _ADVERT.match(text):
        return "credits"
    return "boilerplate" if _BOILERPLATE.match(text) else ""


def _is_broken(raw: str) -> bool:
    """Whether characters of the text were lost when it was decoded: two or more, and one of fifty."""
    if raw.isascii():
        return False
    lost = sum(map(len, _BROKEN.findall(raw)))
    return lost >= 2 and 50 * lost >= len(raw)


def _is_fields(raw: str) -> bool:
    lines = raw.splitlines()
    fields = sum(_FIELD.match(line) is not None for line in lines) if len(lines) >= 3 else 0
    return fields >= 3 and 2 * fields >= len(lines)


def _is_links(text: str, links: Sequence[Link]) -> bool:
    """Whether links are nearly all there is, and none of them is a sentence."""
    if any(len(shown) > _LONGEST_LINKS for shown, _ in links):
        return False
    linked = sum(weight(shown) for shown, _ in links)
    return linked >= _LINK_SHARE * weight(text)
