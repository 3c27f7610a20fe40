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
# A block of which links make up this share says where to read on, and nothing else; but a link of so many
# characters is a sentence.
_LINK_SHARE = 0.8
_LONGEST_LINK = 80
# By `weight`: of a text beside bare addresses this much only says what they are, such as `项目地址：`.
_LONGEST_LABEL = 16

# What a decoder writes for bytes that it does not understand, and what GBK makes of that.
_BROKEN = re.compile("\ufffd|锟斤拷|烫烫烫|屯屯屯")
_TEMPLATE = re.compile(
    r"(?:\{\{[^{}]*\}\}|\{%[^{}]*%\}|\[%[^\[\]]*%\]|<%[^<>]*%>|:{3,}[ \t]*[\w-]*|\[\[?_?toc_?\]?\]"
    r"|\[!(?:code|include|video|vcpp|vb)[^\n]*|--8<--.*|\s)+",
    re.IGNORECASE,
)
_LICENCE = re.compile(
    r"\W*(?:(?:(?:this|the) \w+ (?:\w+ )?(?:is|are) )?(?:dual[- ])?licen[sc]ed (?:to|under)\b"
    r"|copyright (?:\W|\d|by\b|\w+ \d{4})|all rights reserved|permission is hereby granted"
    r"|redistribution and use in|the above copyright notice|the software is provided"
    r"|this (?:document|article|work) (?:has been|is) placed in the public domain|版权(?:声明|所有|归)"
    r"|著作权归|(?:本|该)(?:作品|文|书|项目|站|仓库|译文).{0,20}(?:采用|使用|遵循|基于|以).{0,40}"
    r"(?:许可证|许可协议|授权|协议(?:发布|进行|$))|未经.{0,12}(?:许可|授权|同意).{0,20}(?:转载|复制)"
    r"|(?:禁止|谢绝).{0,6}转载|转载(?:请|须|需|时).{0,20}(?:注明|联系|保留))",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"\W*(?:via\s*[:：]|本文由.{0,40}(?:编译|首发|发布|翻译)"
    r"|(?:(?:原文)?作者|译者|校对者?|审校|校稿|选题|编译|翻译|编辑|题图|图源|原文(?:链接|地址|作者|标题)?"
    r"|译文(?:出自|地址|链接)?|本文(?:地址|永久链接)|转载自?|来源|出处|更新时间|发布日期|发表时间)\s*[:：]"
    r"|(?:translated|written|posted|edited|reviewed|proofread) by\b.{0,60}$|translator\s*[:：].{0,60}$"
    r"|authors?\s*[:：](?! (?:the|an?)\b).{0,60}$)",
    re.IGNORECASE,
)
_ADVERT = re.compile(
    r".{0,40}(?:关注.{0,16}公众号|公众号.{0,16}(?:关注|回复|二维码|搜索)|扫码.{0,10}(?:关注|加群|进群|加入)"
    r"|(?:加入|进).{0,8}(?:qq|微信|交流)群|微信搜(?:一搜|索)|点(?:个|一?下)?\s*(?:赞|star|在看).{0,20}(?:支持|鼓励))",
    re.IGNORECASE,
)
_NAVIGATION = re.compile(
    r"\W*(?:(?:上一?|下一?)[篇页章节](?:\s*[:：>»|].*)?|(?:previous|next|prev)(?:\s*[:：>»|].*)?"
    r"|edit (?:this|the) page.{0,40}|编辑(?:本页|此页)面?|(?:返回|回到)(?:目录|顶部|首页|上一级|主页)"
    r"|(?:back|return) to (?:the )?(?:top|contents|index|home)\b.{0,20}|skip to (?:main )?content"
    r"|table of contents|on this page|in this (?:article|section)\W?|本文内容|目录"
    r"|was this (?:page|article).{0,20}helpful\W?|此(?:页|文).{0,8}有(?:帮助|用)吗?\W?"
    r"|(?:home|首页)(?:\s*[>»›|].{0,100})?|(?:\w[\w ]{0,30}\s*[>»›]\s*){3,}[\w ]{0,30}"
    r"|english(?: version)?(?:\s*[|｜/]\s*.{0,20})?|中文文档|(?:简体)?中文版?(?:\s*[|｜/]\s*.{0,20})?)\W*",
    re.IGNORECASE,
)
# A button of Microsoft's pages that leads on.
_BUTTON = re.compile(r"\[!div ", re.IGNORECASE)
# Before the linked titles of a table of contents.
_NUMBER = re.compile(r"^[\d.、)\s]+")
# In newsletters a linked title stands alone on its line, with a number.
_NUMBERED = re.compile(r"\W*\d{1,3}\s*[、.．)]")
_BOILERPLATE = re.compile(
    r"\W*(?:this (?:file|page|document) (?:is|was) (?:automatically |auto-?)?generated|do not edit\b"
    r"|last (?:updated|modified)\b.{0,40}$|(?:最后|最近)(?:更新|修改)(?:于|时间).{0,40}$"
    r"|more information\s*[:：]|更多信息\s*[:：]"
    # When a law comes into force: every one says so.
    r"|(?:第[一二三四五六七八九十百零]{1,6}条)?\s*本(?:法|条例|办法|规定|细则|决定|规则)(?:修正案)?自.{1,30}起(?:施行|生效|实施).{0,80}$"
    # The dates of a law: passed, published, amended. Atomic, so that a long list is not tried in every way.
    r"|\W*(?>\d{4}年\d{1,2}月\d{1,2}日[^。\n]{2,90}(?:通过|公布|施行|修订|修正|批准|发布|废止|改)\W*)++$)",
    re.IGNORECASE,
)
_FIELD = re.compile(r"[\w.-]{2,30}:(?: .*)?$")
_FIELD_TABLE = re.compile(r"\W*description\W+keywords\W", re.IGNORECASE)

# In capitals, as everyone writes them, or beside the README: a folder of manuals may explain `license`.
_LICENCE_FILE = re.compile(
    r"(?:^|.*/)(?:LICEN[SC]ES?|COPYING|UNLICENSE|NOTICE)(?:[-_.][\w.-]*)?|(?:licen[sc]e|copying)(?:\.\w{1,4})?"
)
_PROJECT_FILE = re.compile(
    r"(?:^|.*/)(?:contributing|contributors|code[-_]of[-_]conduct|change-?log|maintainers|codeowners|贡献指南"
    r"|贡献者|更新日志|pull_request_template|issue_template/.*?)(?:[-._](?:zh|en|cn)[\w-]*)?(?:\.\w{1,8})?",
    re.IGNORECASE,
)
_LICENCE_TEXT = re.compile(
    r"\W*(?:the )?(?:mit license|apache license\s+version|bsd \d-clause|mozilla public license"
    r"|gnu (?:lesser |affero )?general public license|attribution-?\w* 4\.0 international)\b",
    re.IGNORECASE,
)


def document_reason(doc_id: str, text: str) -> str:
    """`licence` or `project file` where a document is a licence, a change log or a contributor's guide."""
    if _LICENCE_FILE.fullmatch(doc_id) or _LICENCE_TEXT.match(text):
        return "licence"
    return "project file" if _PROJECT_FILE.fullmatch(doc_id) else ""


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
    if (links and _is_links(kind, text, links)) or _BUTTON.match(text):
        return "navigation"
    if kind == "table" or len(text) > _LONGEST_NOTICE:
        return "licence" if kind != "table" and _LICENCE.match(text) else ""
    return next((reason for reason, matches in _NOTICES if matches(text)), "")


# Reasons of short blocks, the first that fits.
_NOTICES = (
    ("navigation", _NAVIGATION.fullmatch),
    ("licence", _LICENCE.match),
    ("credits", _CREDIT.match),
    ("credits", _ADVERT.match),
    ("boilerplate", _BOILERPLATE.match),
)


def _is_broken(raw: str) -> bool:
    """Whether characters of the text were lost when it was decoded: two or more, and one of fifty."""
    if raw.isascii():
        return False
    lost = len(_BROKEN.findall(raw))
    return lost >= 2 and 50 * lost >= len(raw)


def _is_fields(raw: str) -> bool:
    """Whether a block is made of fields with a name, as at the head of a file; three at least."""
    if _FIELD_TABLE.match(raw):
        return True
    if raw.count("\n") < 2 or ":" not in raw:
        return False
    lines = raw.splitlines()
    fields = sum(_FIELD.match(line) is not None for line in lines)
    return fields >= 3 and 2 * fields >= len(lines)


def _is_links(kind: Kind, text: str, links: Sequence[Link]) -> bool:
    """Whether links are nearly all there is, and none of them is a sentence."""
    if any(len(shown) > _LONGEST_LINK and "://" not in shown for shown, _ in links):
        return False
    if kind == "paragraph" and len(links) == 1 and _NUMBERED.match(text):
        return False
    says = weight(_NUMBER.sub("", text))
    # Addresses were taken out of the text with the cleaning.
    shown = [_NUMBER.sub("", shown) for shown, _ in links if "://" not in shown]
    if shown:
        return sum(map(weight, shown)) >= _LINK_SHARE * says
    return says <= _LONGEST_LABEL and not text.endswith((".", "。"))
