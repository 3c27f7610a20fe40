from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.clean import clean, match_key, weight, without_links

# Text as it comes: any characters, with those that the cleaning is about made frequent.
TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs",)),
        st.sampled_from("ＡＢ１２，。！　\u200b\ufeff\n\r\t中文ab½㎡é\u0301"),
        st.sampled_from("Ã©Â\xa0â€™ä¸\xad鐨勬枃锛銆\ufffd\x80\x9d"),
    )
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＹＵＹＩ　２０２６年，“语义”！", "YUYI 2026年，“语义”！"),
        ("中文\n换行，\n不加空格", "中文换行，不加空格"),
        ("English\nlines  need\tone", "English lines need one"),
        ("零\u200b宽\ufeff字\u00ad符\x07", "零宽字符"),
        ("a\r\nb", "a b"),
        ("Ⅷ ㎏ ﬁ", "VIII kg fi"),
        ("①安装 10² m² ㎡ ½杯 H₂O it´s Java™", "①安装 10² m² m² ½杯 H₂O it´s Java™"),
        ("省略……号——和（括号）：；？", "省略……号——和（括号）：；？"),
        ("  \n ", ""),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("中文的说明，写得很清楚。", "latin-1"),
        ("如何修改文件的权限？", "latin-1"),
        ("It’s a café — naïve résumé", "cp1252"),
        ("数据库的 API 文档。", "gb18030"),
        ("如何修改文件的权限？请看下文。", "gb18030"),
    ],
)
def test_text_that_was_decoded_wrongly_is_put_right(written: str, read_as: str) -> None:
    read = written.encode().decode(read_as, "replace")
    found = clean(read)
    # Of an odd number of bytes one is lost, and the character with it.
    assert read != written and found in (written, written[:-1])


@pytest.mark.parametrize(
    "text", ["鏄字很少见，銆也是。", "Ångström, façade", "São Paulo – Ñandú", "锛和鐨都是乱码里的字"]
)
def test_text_that_only_looks_unusual_stays(text: str) -> None:
    assert clean(text) == text


@given(TEXT)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert "\n" not in once
    assert once == once.strip()


@pytest.mark.parametrize(
    "text",
    [
        "中" + " \n" * 100_000 + "a",
        "http://" * 50_000,
        "( " * 100_000 + "\n",
    ],
)
def test_hostile_input_takes_a_second_at_most(text: str) -> None:
    begin = time.process_time()
    assert len(clean(without_links(text))) < len(text)
    assert time.process_time() - begin < 1


@given(TEXT)
def test_the_match_key_has_letters_and_digits_only(text: str) -> None:
    assert all(char.isalnum() for char in match_key(text))
    assert match_key(f" {text}!（") == match_key(text)


def test_match_key_ignores_case_and_punctuation() -> None:
    assert match_key("How do I, RENEW_it?") == match_key("how do i renew it") == "howdoirenewit"


def test_weight_counts_a_chinese_character_twice() -> None:
    assert (weight("怎么办"), weight("abc def"), weight("——")) == (6, 6, 0)


def test_links_go_with_the_brackets_that_hold_only_them() -> None:
    assert without_links("见（https://a.b/c?d=e）这里。") == "见这里。"
    assert without_links("Search. More information: <https://a.b>.") == "Search. ."
    assert without_links("no link: here") == "no link: here"
