from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.data.clean import match_key
from yuyi.data.decontaminate import EvaluationTexts
from yuyi.data.dedupe import without_duplicates
from yuyi.errors import InputError
from yuyi.records import Pair

if TYPE_CHECKING:
    import random
    from pathlib import Path

LONG = "美国参议院在星期二的表决中确认珍妮特耶伦为下一任联邦储备委员会主席，她将在二月就职。"
EVALUATION = EvaluationTexts(
    [LONG, "我的借呗怎么打不开了", "How do I renew my passport?", "开机", "Ｈｅｌｌｏ，ｗｏｒｌｄ"]
)


def pair_of(text_a: str, text_b: str = "与评测毫无关系的另一句话") -> Pair:
    return Pair("s", "qa", text_a, text_b, None, "zh")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("我的借呗，怎么打不开了？", "equals evaluation"),
        ("how do i renew MY passport", "equals evaluation"),
        ("开机！", "equals evaluation"),
        ("hello world", "equals evaluation"),
        ("How do I renew my passports?", "near evaluation"),
        (LONG.replace("星期二", "星期三"), "near evaluation"),
        ("据法新社报道，" * 9 + LONG + "（完）", "contains evaluation"),
        ("我的花呗怎么打不开了", None),
        ("怎么开机", None),
        ("How do I cook rice?", None),
        ("", None),
    ],
)
def test_reasons(text: str, reason: str | None) -> None:
    assert EVALUATION.reasons([pair_of(text)]) == [reason]
    assert EVALUATION.reasons([pair_of("与评测毫无关系的另一句话", text)]) == [reason]


def test_no_pairs_have_no_reasons() -> None:
    assert EVALUATION.reasons([]) == []


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_near_means_a_jaccard_of_at_least_four_fifths(rng: random.Random) -> None:
    """Against every evaluation text one by one; MinHash itself may miss one pair in some five hundred."""
    letters = "".join(chr(0x4E00 + number) for number in range(60))
    texts = ["".join(rng.choices(letters, k=rng.randint(20, 60))) for _ in range(12)]
    asked = []
    for text in texts:
        place, cut = rng.randrange(len(text)), rng.randint(0, 4)
        asked.append(text[:place] + "".join(rng.choices(letters, k=rng.randint(0, 3))) + text[place + cut :])
    near = [max(jaccard(question, text) for text in texts) >= 0.8 for question in asked]
    found = EvaluationTexts(texts).reasons([pair_of(question, "") for question in asked])
    assert sum(is_near != (reason is not None) for is_near, reason in zip(near, found, strict=True)) <= 1
    assert not any(reason and not is_near for is_near, reason in zip(near, found, strict=True))


def jaccard(one: str, other: str) -> float:
    a, b = ({text[at : at + 3] for at in range(len(text) - 2)} for text in (one, other))
    return len(a & b) / len(a | b)


def test_an_evaluation_folder(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"sentence1": ["甲方乙方"], "sentence2": ["丙方"], "score": [1.0]}), tmp_path / "sts.parquet"
    )
    pq.write_table(pa.table({"id": ["q1"], "text": ["问题"]}), tmp_path / "r.queries.parquet")
    pq.write_table(pa.table({"query_id": ["q1"], "text": ["不算"]}), tmp_path / "r.qrels.parquet")
    texts = EvaluationTexts.from_folder(tmp_path)
    assert len(texts) == 3
    assert texts.reasons([pair_of("问题"), pair_of("不算")]) == ["equals evaluation", None]


def test_a_folder_without_evaluation_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no evaluation files"):
        EvaluationTexts.from_folder(tmp_path)


PAIRS = st.lists(
    st.builds(
        pair_of, st.sampled_from(["甲", "乙！", "乙", "a b", "AB"]), st.sampled_from(["丙", "丙。", "丁"])
    )
)


@given(PAIRS)
def test_the_first_of_equal_pairs_stays(pairs: list[Pair]) -> None:
    kept = list(without_duplicates(pairs))
    keys = [(match_key(pair.text_a), match_key(pair.text_b)) for pair in pairs]
    assert kept == [pair for place, pair in enumerate(pairs) if keys[place] not in keys[:place]]
    assert list(without_duplicates(kept)) == kept


def test_a_pair_judged_on_two_scales_stays_twice() -> None:
    graded, same = Pair("a", "sts", "甲", "乙", 4.0, "zh"), Pair("b", "paraphrase", "甲", "乙", 1.0, "zh")
    assert list(without_duplicates([graded, same, graded])) == [graded, same]
