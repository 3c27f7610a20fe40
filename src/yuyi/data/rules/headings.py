"""What a heading asks: its numbering taken off, and its title added where it says too little alone.

People search with bare titles and bare headings, so a heading that is clear by itself is used as it stands.
`Return value` or `前提条件` is not: it means something only together with what it belongs to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yuyi.data.clean import ideographs, match_key

if TYPE_CHECKING:
    from collections.abc import Sequence

# What stands under these is a list of links or credits: words that say where to read on and nothing else.
_EMPTY = """
see also|references|related topics|related articles|related content|related links|next steps|what's next
copyright|further reading|additional resources|contents|table of contents|footnotes|feedback|changelog
change log|credits|acknowledgements|acknowledgments|more information|version history|history
in this section|in this article|另请参阅|请参阅|参阅|另请参见|请参见|参见|参考|参考资料|参考文献|参考链接
参考文章|相关文档|相关链接|相关主题|相关内容|相关文章|相关命令|延伸阅读|扩展阅读|推荐阅读|后续步骤|下一步
其他资源|其他参考|目录|本章目录|封面图|更多信息|更多资料|致谢|更新日志|版本历史|订阅|关于
"""
_GENERIC = """
overview|introduction|summary|description|background|abstract|motivation|rationale|conclusion|conclusions
usage|example|examples|sample|syntax|parameters|arguments|options|return value|return values|returns
remarks|remark|notes|note|requirements|prerequisites|prerequisite|limitations|limits|considerations
before you begin|reference|faq|q&a|troubleshooting|installation|install|getting started|quick start
configuration|procedure|steps|result|results|discussion|solution|solutions|approach|purpose|scope|fields
members|methods|properties|inputs|outputs|input|output|constraints|specification|backwards compatibility
security implications|how to teach this|reference implementation|rejected ideas|open issues|index|readme
home|what is it|why|how|what|public methods|return value remarks|problem|简介|介绍|概述|概览|总览|前言
引言|导言|背景|摘要|总结|小结|结论|结语|说明|描述|功能|功能说明|功能描述|用途|用法|使用方法|使用说明|示例
例子|样例|举例|示例代码|代码示例|语法|语法说明|语法图|语法格式|参数|参数说明|参数解释|选项|返回值|返回
返回值说明|备注|注意|注意事项|要求|系统要求|前提条件|先决条件|前置条件|使用限制|限制|限制说明|约束
适用范围|适用性|操作步骤|步骤|操作|结果|题目描述|解法|方法一|方法二|思路|题解|代码|代码实现|实现|常见问题
问题|故障排查|故障排除|安装|快速开始|入门|配置|附录|总则|附则|附注|补充|其他|其它|使用场景|应用场景
适用场景|字段说明|相关视图|定义|必备原料和工具|计算|附加内容|属性|方法|成员|问题描述|原理|是什么|为什么
怎么做|使用示例|补充说明|主要用途
"""


def _keys(headings: str) -> frozenset[str]:
    return frozenset(match_key(heading) for heading in headings.replace("\n", "|").split("|") if heading)


_EMPTY_KEYS = _keys(_EMPTY)
_GENERIC_KEYS = _keys(_GENERIC)

_NUMBERING = re.compile(
    r"^(?:(?:\d{1,5}\.)+\d{0,3}[.、)]?\s*(?=\D)|q\d{0,3}\s*[:：.]\s*(?:\d{1,3}\b)?|\d{1,2}\s*[、)）:：]\s*|\d{2}-(?=\D)"
    r"|[(（][一二三四五六七八九十\d]{1,3}[)）]\s*"
    r"|[一二三四五六七八九十]{1,3}[、.．]\s*|第[一二三四五六七八九十百零\d]{1,5}(?:章|节|编|部分|讲|课|步)[\s:：、.]*"
    r"|(?:步骤|step)\s*[\d一二三四五六七八九十]{1,2}[\s:：、.]+)+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9'’+#-]*")
_COMPOUND = re.compile(r"[A-Za-z0-9]_[A-Za-z0-9]|[a-z][A-Z]|\w::\w|\w\.\w|\w/\w")

_QUESTION_ZH = re.compile(
    r"[?？]$|怎么|怎样|如何|为什么|为何|什么是|是什么|什么时候|有什么|哪些|哪个|是否|能否|可否|吗$|何时|多少|多久|的区别$"
)
_QUESTION_EN = re.compile(
    r"[?]$|^(?:how (?:to|do|does|can|is|are|it)|what|why|when (?:to|should)|which|where|who)\b", re.IGNORECASE
)


def without_number(heading: str) -> str:
    """The heading without `1.2`, `一、`, `第三章` or `Step 4:` before it."""
    return _NUMBERING.sub("", heading) or heading


def is_question(heading: str) -> bool:
    """Whether a heading reads as a question in Chinese or English."""
    return bool(_QUESTION_ZH.search(heading) or _QUESTION_EN.search(heading))


def is_empty(heading: str) -> bool:
    """Whether what stands under such a heading is only links or credits."""
    return match_key(without_number(heading)) in _EMPTY_KEYS


def is_generic(heading: str) -> bool:
    """Whether a heading stands over documents of every kind, such as `Overview`."""
    return match_key(without_number(heading)) in _GENERIC_KEYS


def is_specific(heading: str) -> bool:
    """Whether a heading is clear alone: four Chinese characters, three words, or a compound name."""
    if is_generic(heading):
        return False
    says = ideographs(heading) / 4 + len(_WORD.findall(heading)) / 3
    return says >= 1 or _COMPOUND.search(heading) is not None


def question_of(path: Sequence[str], common: bool = False) -> str:
    """What the headings of `path`, title first, ask together: the last alone where it is clear.

    Otherwise the title, the nearest heading between the two, and the last, each only where the others do not
    hold it already. The empty string where every heading is generic.

    Args:
        path: at least one heading.
        common: whether the last stands over many sections of its source and says little alone.
    """
    *above, last = (without_number(heading) for heading in path)
    if is_specific(last) and not common:
        return last
    telling = [heading for heading in above or [last] if not is_generic(heading)]
    parts: list[str] = []
    for part in (*telling[:1], *telling[1:][-1:], last) if telling else ():
        if any(part.casefold() in other.casefold() for other in parts):
            continue
        parts = [other for other in parts if other.casefold() not in part.casefold()]
        parts.append(part)
    return " ".join(parts)
