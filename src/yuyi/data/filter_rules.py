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
# Letters of scripts that are neither Latin nor Chinese: Greek to Hangul but for the ideographs and symbols.
_OTHER_SCRIPT = re.compile(r"[\u0370-\u1eff\u3040-\u30ff\u3131-\u318e\uac00-\ud7af]+")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]+")
# What English prose cannot do without, and names, titles and commands can.
_FUNCTION_WORDS = re.compile(
    r"\b(?:the|a|an|of|to|in|is|are|was|and|or|for|with|that|this|it|you|your|we|be|on|by|as|from|can|if|not)\b",
    re.IGNORECASE,
)
# Frequent characters that only traditional writing has.
_TRADITIONAL = re.compile(
    "[這個們來時說國為會對過學後發經點開見長關問現實體從還樣當應種機數電東車馬門間話語讓請誰讀寫書買賣錢銀"
    "鐵錯鍵錄長陽陰陸隊階際難離雲電靈靜頁頂項順須預領頭題類顯風飛飯飲館驗體鬥魚鳥麥黃點齊齒龍龜無與萬"
    "義樂習鄉亂爭產親億僅倫側偵偽傳傷價儀優兒兩冊寶軍農沖決況凍淨減湊幾鳳憑凱擊劃劉則剛創刪別製劍劑勸辦"
    "務動勵勞勢匯區醫華協單壓厭縣參雙變敘號嘆嗎聽員響啟嘗團園圍圖圓聖場壞塊堅壇聲處備復夠頭誇奪奮獎婦媽]"
)
_URL = re.compile(r"(?:https?://|ftp://|www\.)[^\s\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+", re.IGNORECASE)
_CODE_SIGN = re.compile(r"[{}();=<>$\\|&#@`\[\]*+^~]|->|::|[A-Za-z0-9]_[A-Za-z0-9]|/(?=\w)")
_DANGLING = re.compile(
    r"(?:[:：,，、]|(?:\bas follows|\bfollowing|\bfor example|\bsuch as|如下(?:所示)?|例如|比如|以下)[.。]?)"
    r"\s*$",
    re.IGNORECASE,
)
# Characters at the end that are searched for it.
_LONGEST_DANGLING = 40
_SENTENCE = re.compile(r"[^。！？!?\n]+?(?:[。！？!?\n]+|\.(?=\s)|$)")
# C4 drops lines with such phrases ("javascript", "terms of use", "lorem ipsum"); the rest is what Chinese and
# English sites say to every reader.
_BOILERPLATE = re.compile(
    r"扫码|扫描?.{0,8}二维码|长按.{0,6}识别|关注.{0,12}(?:公众号|微信|微博)|公众号.{0,8}(?:关注|回复)"
    r"|微信公众号|点击(?:查看|阅读|下载|展开|右上角|上方|下方|文末).{0,4}(?:原文|全文|更多|详情|大图|蓝字|关注)"
    r"|阅读原文|转载请(?:注明|联系)|转载自|版权(?:所有|声明|归)|未经.{0,8}(?:许可|授权|允许)|侵权.{0,8}删"
    r"|免责声明|欢迎(?:关注|转发|订阅|点赞|加入|star)|点个?赞.{0,6}(?:关注|收藏|支持|转发)|求点?赞|(?:加|进|QQ|微信|交流)群|加.{0,4}微信|责任编辑"
    r"|本文(?:作者|译者|首发)|(?:上|下)一篇|返回(?:顶部|首页|目录)|登录后(?:查看|评论|可见)|敬请期待|未完待续"
    r"|待补充|全文完|暂无(?:内容|描述|数据)"
    r"|(?:此|本)(?:页面?|文档|内容|文)(?:正在|尚未|还没有?|有待).{0,6}(?:翻译|完善|编写|建设|更新)"
    r"|\bsubscribe (?:to|now|for)|\bsign up (?:for|to)|\bnewsletter|\ball rights reserved|\bcookies? policy"
    r"|\bprivacy policy|\bterms of (?:use|service)|\buses? cookies|\benable javascript|\blorem ipsum"
    r"|\bfollow (?:us|me) on|\bedit this page|\bback to top|\bwas this (?:page|article|helpful)"
    r"|\bpage not found|\bthanks for reading|\blog ?in to (?:view|comment|reply)|\badvertisement\b"
    r"|\bno results found|\bskip to (?:main )?content|\bclick here to|\bread more\b|\bcoming soon\b"
    r"|\bto be (?:written|done|added)\b|\bshare (?:this|on) (?:post|article|page|facebook|twitter)"
    r"|\bplease do not (?:edit|modify|remove)|\bauto(?:matically)?[- ]generated\b",
    re.IGNORECASE,
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
        """`zh`, `en` or `other`; empty where nothing in it tells, as in names, commands and formulas."""
        letters = len(self.letters)
        other = sum(map(len, _OTHER_SCRIPT.findall(self.letters)))
        if 2 * other > letters:
            return "other"
        if self.ideographs:
            return "zh" if 5 * self.ideographs >= letters else ""
        return "en" if len(_FUNCTION_WORDS.findall(self.text)) >= 3 else ""


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
    """A side of signs: neither letters nor digits."""
    if config.symbols is not None:
        for side in (a, b):
            if side.size and (share := 1 - len(side.letters) / side.size) >= config.symbols:
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
    if config.boilerplate is None or _BOILERPLATE.search(b.text) is None:
        return None
    said = sum(len(one) for one in _SENTENCE.findall(b.text) if _BOILERPLATE.search(one))
    share = said / len(b.text)
    return ("boilerplate", share) if share >= config.boilerplate else None


def unwanted_language(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """A side in a language that is not wanted."""
    if config.languages is not None:
        for side in (a, b):
            if side.language and side.language not in config.languages:
                return "unwanted language", 1.0
    return None


def language_mismatch(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """Sides in two languages, where they are no translations."""
    if not config.language_mismatch or pair.kind in config.translations or "-" in pair.lang:
        return None
    differ = a.language and b.language and a.language != b.language
    return ("language mismatch", 1.0) if differ else None


def script(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """A side in traditional characters where only simplified ones are wanted."""
    if config.traditional is not None:
        for side in (a, b):
            if side.ideographs:
                share = len(_TRADITIONAL.findall(side.text)) / side.ideographs
                if share >= config.traditional:
                    return "traditional script", share
    return None


def incomplete(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """An answer that announces what does not follow ("as follows:", "如下："), and says little before."""
    if config.incomplete is None or pair.kind in config.translations:
        return None
    if _DANGLING.search(b.text[-_LONGEST_DANGLING:]) is None:
        return None
    sentences = _SENTENCE.findall(b.text)
    before = Side("".join(sentences[:-1])).tokens
    return ("incomplete", before) if before < config.incomplete else None


def code(pair: Pair, a: Side, b: Side, config: FiltersConfig) -> Found:
    """An answer in a programming language, by the share of the signs that prose does not use."""
    if config.code is not None and b.size:
        share = len(_CODE_SIGN.findall(b.text)) / b.size
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
RULES: tuple[Rule, ...] = (
    empty,
    too_short,
    too_long,
    links,
    incomplete,
    copied,
    symbols,
    digits,
    code,
    unwanted_language,
    language_mismatch,
    script,
    boilerplate,
    repetition,
)
