"""What makes a pair unfit for training: named rules, each a reason and the number that decided.

Thresholds that come from the literature name it: Gopher is Rae et al. 2021 (arXiv:2112.11446, appendix A.1,
MassiveText), C4 is Raffel et al. 2020 (arXiv:1910.10683, section 2.2), RefinedWeb is Penedo et al. 2023
(arXiv:2306.01116, appendix G), FineWeb is Penedo et al. 2024 (arXiv:2406.17557, section 3.6). They judge
pages; a pair is shorter and says less by chance, so the limits here are wider, and a Chinese character counts
as what it is rather than as part of a word.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from yuyi.data.clean import IDEOGRAPHS
from yuyi.data.languages import language_of, script_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from yuyi.data.filters import FiltersConfig
    from yuyi.records import Pair

Found: TypeAlias = "tuple[str, float] | None"

# Weight (see `clean.weight`) of an average token: two letters and a half of English, an ideograph and a half.
_WEIGHT_PER_TOKEN = 3
# Characters of the stretches whose repetition counts: about five words, as in Gopher's table A1.
_STRETCH_ZH, _STRETCH_EN = 10, 30
# Shorter texts repeat themselves by chance.
_LEAST_TO_REPEAT = 3

_SPACE = re.compile(r"\s+")
_NOT_LETTER_OR_DIGIT = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")
_IDEOGRAPHS = re.compile(f"[{IDEOGRAPHS}]+")
_URL = re.compile(r"(?:https?://|ftp://|www\.)[^\s\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+", re.IGNORECASE)
# Formulas between dollars are no code.
_FORMULA = re.compile(r"\$\$[^$]{1,2000}\$\$|\$[^$\n]{1,300}\$")
_CODE_SIGN = re.compile(r"(?<!\{)\{(?!\{)|(?<!\})\}(?!\})|[;=<>]|[A-Za-z0-9]\(|->|::|[A-Za-z0-9]_[A-Za-z0-9]")
_DANGLING = re.compile(
    r"(?:[:：]|(?:\bas follows|\bfollowing|\bfor example|\bsuch as|如下(?:所示)?|例如|比如|以下)[.。]?)"
    r"\s*$",
    re.IGNORECASE,
)
# Characters at the end that are searched for it.
_LONGEST_DANGLING = 40
_SENTENCE = re.compile(r"[^。！？!?\n]+?(?:[。！？!?\n]+|\.(?=\s)|$)")
_JOINTS = " \t\n:：,，、.。"
_CLAUSE_END = re.compile(r"[。！？!?\n,，；;]|\.(?=\s)")
# A sentence ends here: titles and names do not.
_ENDED = re.compile(r"[.!?][\"')]*(?:\s|$)")
# Characters that a phrase makes boilerplate of, where a sentence is longer.
_AROUND_PHRASE = 120
# C4 drops lines with such phrases ("javascript", "terms of use", "lorem ipsum"); the rest is what Chinese and
# English sites say to every reader, in words that nobody uses to write about such sentences.
_BOILERPLATE = re.compile(
    r"扫码(?:关注|添加|加入|进群|领取|报名)|(?:扫描|长按|识别).{0,6}(?:下方|下面|下图|上方|图中)?.{0,4}二维码.{0,12}"
    r"(?:关注|添加|加入|进群|领取|报名)|关注.{0,12}公众号|公众号.{0,8}(?:关注|回复)|微信公众号[:：「“]"
    r"|点击(?:查看|阅读|下载|展开|右上角|上方|下方|文末).{0,4}(?:原文|全文|更多|大图|蓝字|关注)"
    r"|点击.{0,6}阅读原文|转载请(?:注明|联系)|转载自[:：]|版权所有|(?:本文|本作品|本站).{0,8}版权归|侵权.{0,8}(?:请|必|即)删"
    r"|欢迎(?:关注|转发|订阅|点赞|加入|star)|点个?赞.{0,4}(?:关注|收藏|支持|转发)|求点?赞"
    r"|(?:QQ|微信|交流)群[:：]|(?:添加|加)(?:我的?)?(?:个人)?微信|责任编辑|本文(?:首发|译者)"
    r"|(?:上|下)一篇[:：]|返回(?:顶部|首页)|登录后(?:查看|评论|可见)|敬请期待|未完待续|待补充|全文完"
    r"|(?:此|本)(?:页面?|文档|文)(?:正在|尚未|还没有?|有待).{0,6}(?:翻译|完善|编写|建设)"
    r"|\bsubscribe (?:to|now|for) (?:our|my|the)\b|\b(?:our|my) newsletter|\ball rights reserved"
    r"|\b(?:we|site|website) uses? cookies|\benable javascript to"
    r"|\bplease enable javascript|\blorem ipsum dolor"
    r"|\b(?:see|read|agree to|accept) (?:our|the) (?:privacy policy|terms of (?:use|service))"
    r"|\bfollow (?:us|me) on|\bedit this page|\bback to top\b|\bwas this (?:page|article) helpful"
    r"|\bthanks for reading|\blog ?in to (?:view|comment|reply)|\bskip to (?:main )?content"
    r"|\bclick here to (?:subscribe|download|read|view|see|learn)|\bcoming soon[.!]|^to be (?:written|done)\b"
    r"|\bshare (?:this|on) (?:post|article|page|facebook|twitter)"
    r"|\bthis (?:file|page|document(?:ation)?) (?:is|was) (?:auto(?:matically)?[- ]?)generated",
    re.IGNORECASE,
)

# Each of these phrases holds one of these words, and a text that holds none need not be searched for them.
_TELLTALE = (
    *(
        "二维码",
        "扫码",
        "公众号",
        "点击",
        "转载",
        "版权",
        "侵权",
        "欢迎",
        "赞",
        "群",
        "微信",
        "责任编辑",
        "本文",
    ),
    *("一篇", "返回", "登录后", "敬请期待", "未完待续", "待补充", "全文完", "翻译", "完善", "编写", "建设"),
    *("subscribe", "newsletter", "rights reserved", "cookies", "enable javascript", "lorem ipsum", "policy"),
    *("terms of", "follow us", "follow me", "edit this", "back to top", "helpful", "thanks for", "log in to"),
    *("login to", "skip to", "click here", "coming soon", "to be ", "share this", "share on", "generated"),
)


class Side:
    """One text of a pair, measured at most once.

    Args:
        text: the text.
        tokens: its length in tokens, or -1.
    """

    def __init__(self, text: str, tokens: int = -1) -> None:
        self.text = text
        self._tokens = tokens

    @cached_property
    def letters(self) -> str:
        """Its letters and digits."""
        return _NOT_LETTER_OR_DIGIT.sub("", self.text)

    @cached_property
    def size(self) -> int:
        """Its characters but for white space."""
        return len(_SPACE.sub("", self.text))

    @cached_property
    def ideographs(self) -> int:
        """Its Chinese characters."""
        return sum(map(len, _IDEOGRAPHS.findall(self.letters)))

    @cached_property
    def tokens(self) -> float:
        """Its length in tokens; an estimate where nobody counted them."""
        if self._tokens >= 0:
            return self._tokens
        return (len(self.letters) + self.ideographs) / _WEIGHT_PER_TOKEN

    @cached_property
    def language(self) -> str:
        """`zh`, `en` or `other`; empty where it is no prose: a name, title or command is at home in both."""
        found = language_of(self.text)
        return "" if found == "en" and not _ENDED.search(self.text) else found


Rule: TypeAlias = "Callable[[Pair, Side, Side, FiltersConfig], Found]"


def empty(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """A side of nothing but white space; texts with a class have but one side."""
    if not pair.text_a.strip() or (not pair.text_b.strip() and pair.kind != "classification"):
        return "empty", 0.0
    return None


def too_short(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """A side with fewer tokens than its kind needs."""
    least = config.shortest_of.get(pair.kind, config.shortest_b)
    for side, limit in ((a, config.shortest_a), (b, least)):
        if limit is not None and side.tokens < limit:
            return "too short", side.tokens
    return None


def too_long(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """A side with more tokens than anything reads."""
    for side, limit in ((a, config.longest_a), (b, config.longest_b)):
        # No token is longer than this on the average, so that most texts need not be measured.
        if limit is not None and len(side.text) > limit and side.tokens > limit:
            return "too long", side.tokens
    return None


def copied(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """Sides that share nearly all their stretches of three letters (Dice), or are the same but for signs.

    That the second begins with the first is no fault: so does a lead that repeats its title.
    """
    if config.copied is None or not a.letters:
        return None
    short, long = sorted((len(a.letters), len(b.letters)))
    if 2 * short / (short + long) < config.copied:
        return None
    first, second = a.letters.lower(), b.letters.lower()
    if first == second:
        return "copied", 1.0
    stretches = [Counter(_stretches(text, 3)) for text in (first, second)]
    same = 2 * (stretches[0] & stretches[1]).total() / max(1, short + long - 4)
    return ("copied", same) if same >= config.copied else None


def repetition(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """A side that says the same stretches of five words, or ten characters, again and again.

    Gopher drops pages with 0.15 of their characters in repeated stretches of five words.
    """
    limit = config.repetition
    if limit is None:
        return None
    for side in (a, b):
        length = _STRETCH_ZH if side.ideographs * 5 >= len(side.letters) else _STRETCH_EN
        if len(side.letters) < _LEAST_TO_REPEAT * length:
            continue
        stretches = _stretches(side.letters, length)
        share = 1 - len(set(stretches)) / len(stretches)
        if share >= limit:
            return "repetition", share
    return None


def _stretches(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(len(text) - length + 1)]


def symbols(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """An answer of signs: neither letters nor digits."""
    if config.symbols is not None and b.size and (share := 1 - len(b.letters) / b.size) >= config.symbols:
        return "symbols", share
    return None


def digits(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """An answer of numbers."""
    if config.digits is not None and b.size:
        share = sum(map(len, _DIGITS.findall(b.letters))) / b.size
        if share >= config.digits:
            return "digits", share
    return None


def boilerplate(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """An answer whose sentences speak to every reader of the site instead of about the subject."""
    text = b.text.lower()
    if config.boilerplate is None or not any(word in text for word in _TELLTALE):
        return None
    said = sum(min(len(one), _AROUND_PHRASE) for one in _SENTENCE.findall(b.text) if _BOILERPLATE.search(one))
    share = said / len(text)
    return ("boilerplate", share) if share >= config.boilerplate else None


def unwanted_language(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """A side in a language that is not wanted."""
    if config.languages is not None:
        for side in (a, b):
            if side.language and side.language not in config.languages:
                return "unwanted language", 1.0
    return None


def language_mismatch(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """Sides of prose in two languages."""
    if not config.language_mismatch or "-" in pair.lang:
        return None
    differ = a.language and b.language and a.language != b.language
    return ("language mismatch", 1.0) if differ else None


def script(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """A side in the Chinese script that is not wanted."""
    if config.script is not None:
        for side in (a, b):
            if side.ideographs and (found := script_of(side.text)) not in (config.script, ""):
                return f"{found} script", 1.0
    return None


def incomplete(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """An answer that announces what does not follow ("as follows:", "如下："), and says little before."""
    if config.incomplete is None or _DANGLING.search(b.text[-_LONGEST_DANGLING:]) is None:
        return None
    ends = [match.end() for match in _CLAUSE_END.finditer(b.text.rstrip(_JOINTS))]
    before = Side(b.text[: ends[-1]]).tokens if ends else 0.0
    return ("incomplete", before) if before < config.incomplete else None


def code(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """An answer in a programming language, by the share of the signs that prose does not use."""
    if config.code is not None and b.size:
        share = len(_CODE_SIGN.findall(_FORMULA.sub("", b.text))) / b.size
        if share >= config.code:
            return "code", share
    return None


def links(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """A side that is mostly web addresses."""
    if config.links is None:
        return None
    for side in (a, b):
        if "://" in side.text or "www." in side.text:
            share = sum(map(len, _URL.findall(side.text))) / side.size
            if share >= config.links:
                return "links", share
    return None


# For pairs that were judged: their sides are short on purpose.
RULES_FOR_JUDGED: tuple[Rule, ...] = (empty, unwanted_language)
# A translation of a fragment, a command or a notice is still one.
RULES_FOR_TRANSLATIONS: tuple[Rule, ...] = (
    empty,
    too_short,
    too_long,
    copied,
    unwanted_language,
    script,
)
# Cheap ones first.
RULES: tuple[Rule, ...] = (
    *RULES_FOR_TRANSLATIONS,
    links,
    incomplete,
    symbols,
    digits,
    code,
    language_mismatch,
    boilerplate,
    repetition,
)
