"""Pairs that show an evaluation text are marked with the name of its set."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.config import check_settings
from yuyi.data.clean import clean, ideographs, match_key, weight
from yuyi.data.decontaminate import DecontaminateConfig, decontaminate, evaluation_files, read_evaluation
from yuyi.data.folder import DataFolder
from yuyi.data.languages import language_of
from yuyi.data.marking.evaluation_texts import EvaluationTexts, Match
from yuyi.data.mining.dense import open_encoder
from yuyi.data.step import run_step
from yuyi.errors import InputError, RecipeError
from yuyi.records import Mark, Pair, read_marks, read_pairs, write_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from yuyi.data.step import Counts, Workplace

LONG = "美国参议院在星期二的表决中确认珍妮特耶伦为下一任联邦储备委员会主席，她将在二月就职。"
NEWS = "The senate voted on Tuesday evening to confirm the economist as the next head of the central bank."
MIXED = "ThinkPad怎么重装系统并且保留原来的数据"
# Of characters and words that come once.
AROUND = "".join(map(chr, range(0x5200, 0x5300)))
ABOUT = (
    "Because nobody had expected such weather, every ferry stayed in harbour while children fed gulls, "
    "played cards, quarrelled over blankets, slept badly, woke hungry, and wished themselves home again: "
)
TEXTS = [
    ("sts", LONG),
    ("bank", "我的借呗怎么打不开了"),
    ("faq", "How do I renew my passport?"),
    ("words", "开机"),
    ("words", "Ｈｅｌｌｏ，ｗｏｒｌｄ"),
    ("news", NEWS),
    ("mixed", MIXED),
]
EVALUATION = EvaluationTexts(TEXTS)


def pair_of(text_a: str, text_b: str = "与评测毫无关系的另一句话") -> Pair:
    return Pair("s", "qa", text_a, text_b, None, "zh")


def match_of(texts: EvaluationTexts, text: str) -> Match | None:
    """What is found on the first side, and is found on the second as well."""
    [first], [second] = texts.matches([pair_of(text)]), texts.matches([pair_of("另一句", text)])
    assert first == second
    return first


@pytest.mark.parametrize(
    ("text", "reason", "name"),
    [
        ("我的借呗，怎么打不开了？", "equals", "bank"),
        ("how do i renew MY passport", "equals", "faq"),
        ("开机！", "equals", "words"),
        ("hello world", "equals", "words"),
        ("How do I renew my passports?", "near", "faq"),
        (LONG.replace("星期二", "星期三"), "near", "sts"),
        ("据法新社报道，" * 9 + LONG + "（完）", "contains", "sts"),
        ("在论坛里看到：" * 9 + MIXED + "，求教", "contains", "mixed"),
        ("As was reported, " * 9 + NEWS.upper() + " More tonight.", "contains", "news"),
        (AROUND + LONG[2:32], "shares", "sts"),
        (ABOUT + NEWS[4:90] + " fund of a country far away", "shares", "news"),
    ],
)
def test_overlaps(text: str, reason: str, name: str) -> None:
    match = match_of(EVALUATION, text)
    assert match is not None and (match.reason, match.name) == (f"{reason} evaluation", name)


@pytest.mark.parametrize(
    "text",
    [
        "我的花呗怎么打不开了",
        "怎么开机",
        "How do I cook rice?",
        "",
        "！？",
        AROUND + LONG[2:22],
        ABOUT + NEWS[:40],
        "请问我的借呗怎么打不开了呢，谢谢各位解答这个困扰我很久的问题",
    ],
)
def test_no_overlap(text: str) -> None:
    assert match_of(EVALUATION, text) is None


def test_values_say_how_much_is_common() -> None:
    assert match_of(EVALUATION, LONG) == Match("equals evaluation", 1.0, "sts")
    longer = match_of(EVALUATION, "据报道：" + LONG)
    assert longer and longer.value == pytest.approx(len(match_key(LONG)) / len(match_key("据报道" + LONG)))
    shared = match_of(EVALUATION, AROUND + match_key(LONG)[2:32] + "甲")
    assert shared == Match("shares evaluation", 30.0, "sts")


def test_no_pairs_and_no_texts() -> None:
    assert EVALUATION.matches([]) == []
    assert EvaluationTexts([]).matches([pair_of("甲"), pair_of(LONG)]) == [None, None]


def test_each_way_can_be_left_out() -> None:
    texts = EvaluationTexts(TEXTS, near=None, words=None)
    assert match_of(texts, LONG.replace("星期二", "星期三")) is None
    assert match_of(texts, AROUND + LONG[2:32]) is None
    assert match_of(texts, LONG + "完") == Match("contains evaluation", 40 / 41, "sts")


def test_vectors_find_what_is_said_in_other_words() -> None:
    texts = EvaluationTexts([("faq", "怎么更换手机号码")], similarity=0.7, encoder=open_encoder(""))
    match = match_of(texts, "手机号码怎么更换")
    assert match and match.reason == "resembles evaluation" and 0.7 <= match.value <= 1
    assert match_of(texts, "今天的天气很好") is None


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_near_is_what_the_jaccard_of_trigrams_says(rng: random.Random) -> None:
    """Against every evaluation text one by one; MinHash itself may miss one near the threshold."""
    letters = "".join(chr(0x4E00 + number) for number in range(60))
    texts = ["".join(rng.choices(letters, k=rng.randint(20, 60))) for _ in range(12)]
    asked = []
    for text in texts:
        place, cut = rng.randrange(len(text)), rng.randint(0, 4)
        asked.append(text[:place] + "".join(rng.choices(letters, k=rng.randint(0, 3))) + text[place + cut :])
    nearest = [max(jaccard(question, text) for text in texts) for question in asked]
    evaluation = EvaluationTexts([("made", text) for text in texts], near=0.8, words=None)
    missed = 0
    for value, match in zip(nearest, evaluation.matches([pair_of(q, "") for q in asked]), strict=True):
        if match and match.reason == "near evaluation":
            assert match.value == pytest.approx(value) and value >= 0.8
        missed += match is None and value >= 0.8
    assert missed <= 2


def jaccard(one: str, other: str) -> float:
    a, b = ({text[at : at + 3] for at in range(len(text) - 2)} for text in (one, other))
    return len(a & b) / len(a | b)


# What a copy may look like: written otherwise, inside a longer text, or lightly edited.


def written_otherwise(text: str, rng: random.Random) -> str:
    wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)
    return rng.choice([wide.upper(), f"「{text.replace(' ', '  ')} 」！", text.swapcase()])


def inside_another(text: str, rng: random.Random) -> str:
    around = rng.sample(["据说此事已有定论。", "再看下文，", "It is said that ", "So much for this. "], 4)
    return around[0] + around[1] + text + " " + around[2] + around[3]


def lightly_edited(text: str, rng: random.Random) -> str:
    """One character in twenty replaced, doubled or left out."""
    chars = list(text)
    for place in sorted(rng.sample(range(len(chars)), len(chars) // 20), reverse=True):
        chars[place : place + 1] = rng.choice([["某"], [chars[place]] * 2, []])
    return "".join(chars)


def is_containable(text: str) -> bool:
    """Whether it weighs as much as 12 ideographs where they are half of it, else as much as 30 letters."""
    key = match_key(clean(text))
    chinese = 2 * ideographs(key)
    letters = len(key) - ideographs(key)
    return chinese + letters >= (24 if chinese >= letters else 30)


COPIES: dict[str, tuple[Callable[[str, random.Random], str], Callable[[str], bool]]] = {
    "written otherwise": (written_otherwise, lambda text: bool(match_key(clean(text)))),
    "inside another": (inside_another, is_containable),
    # Of a shorter text the twentieth part is no whole character, or all that is left is too short to tell.
    "lightly edited": (lightly_edited, lambda text: weight(clean(text)) >= 24),
}


def recall_of(evaluation: EvaluationTexts, texts: Sequence[str], way: str) -> float:
    copy, fits = COPIES[way]
    rng = random.Random(17)
    copies = [copy(text, rng) for text in texts if fits(text)]
    assert len(copies) > 100
    pairs = [pair_of(text) if rng.random() < 0.5 else pair_of("另一句", text) for text in copies]
    return 1 - evaluation.matches(pairs).count(None) / len(pairs)


def made_texts(rng: random.Random, count: int) -> list[str]:
    """Sentences of either language and of both, of words that come again and again."""
    chinese = [
        "".join(chr(rng.randrange(0x4E00, 0x5200)) for _ in range(rng.randint(1, 3))) for _ in range(800)
    ]
    english = ["".join(rng.choices("etaoinshrdlumcf", k=rng.randint(2, 9))) for _ in range(800)]
    return [
        space.join(rng.choices(words, k=rng.randint(6, 30)))
        for number in range(count)
        for words, space in [((chinese, ""), (english, " "), (chinese + english, ""))[number % 3]]
    ]


@pytest.mark.parametrize("way", COPIES)
def test_planted_copies_are_found(way: str) -> None:
    texts = made_texts(random.Random(4), 600)
    evaluation = EvaluationTexts([("made", text) for text in texts])
    assert recall_of(evaluation, texts, way) >= 0.99


def test_clean_texts_are_let_through() -> None:
    texts = made_texts(random.Random(4), 4000)
    evaluation = EvaluationTexts([("made", text) for text in texts[:2000]])
    clean_pairs = [pair_of(a, b) for a, b in zip(texts[2000::2], texts[2001::2], strict=True)]
    assert sum(match is not None for match in evaluation.matches(clean_pairs)) < 0.001 * len(clean_pairs)


@pytest.mark.shared
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_planted_copies_of_real_texts_are_found_and_clean_pairs_let_through(
    shared_data: Path, lang: str
) -> None:
    named = texts_of(str(shared_data / "eval"))
    evaluation = EvaluationTexts(named)
    texts = [text for _, text in named if language_of(text) == lang]
    texts = random.Random(1).sample(texts, 3000)
    for way in COPIES:
        assert recall_of(evaluation, texts, way) >= 0.99, way
    # Poems and lore, diseases and papers: no set asks about them in these words.
    sources = {"zh": ["chinese_poetry", "classical_modern_zh"], "en": ["medquad", "pubmedqa_labelled"]}
    for source in sources[lang]:
        pairs = list(read_pairs(shared_data / "train" / "pairs" / f"{source}.parquet"))
        pairs = random.Random(2).sample(pairs, min(len(pairs), 5000))
        found = [match for match in evaluation.matches(pairs) if match]
        assert len(found) < 0.001 * len(pairs), (source, found)


# The files of evaluation sets, and the step.


def texts_of(*places: str, corpus: bool = True) -> list[tuple[str, str]]:
    files = evaluation_files(places).items()
    return [(name, text) for file, name in files for text in read_evaluation(file, corpus=corpus)]


def write_table(path: Path, **columns: list[object]) -> None:
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    folder = tmp_path / "sets"
    folder.mkdir()
    write_table(
        folder / "sts.parquet", sentence1=["甲方乙方", None], sentence2=["丙方", "丁方"], score=[1.0, 2.0]
    )
    write_table(folder / "r.queries.parquet", id=["q1"], text=["问题"])
    write_table(folder / "r.corpus.parquet", id=["d1"], text=[LONG])
    write_table(folder / "r.qrels.parquet", query_id=["q1"], corpus_id=["d1"])
    (folder / "faq.jsonl").write_text(json.dumps({"query": "怎么退款", "id": 3}) + "\n", "utf-8")
    (folder / "news.csv").write_text('id,passage\n1,"How do I\nrenew it"\n', "utf-8")
    (folder / "notes.txt").write_text("不算", "utf-8")
    return folder


def test_the_texts_of_a_folder(sets: Path) -> None:
    assert sorted(texts_of(str(sets), corpus=False)) == [
        ("faq", "怎么退款"),
        ("news", "How do I\nrenew it"),
        ("r", "问题"),
        ("sts", "丁方"),
        ("sts", "丙方"),
        ("sts", "甲方乙方"),
    ]
    some = str(sets / "faq.jsonl"), str(sets / "r.corpus.parquet")
    assert texts_of(*some) == [("faq", "怎么退款"), ("r", LONG)]


def test_folders_within_folders_and_lists_of_texts_are_read(sets: Path) -> None:
    inner, hidden = sets / "more" / "zh", sets / ".cache"
    inner.mkdir(parents=True)
    hidden.mkdir()
    write_table(inner / "test.parquet", query=["问一"], text=[["答一", "答二"]])
    (inner / ".draft.jsonl").write_text('{"query": "草稿"}\n', "utf-8")
    (hidden / "old.jsonl").write_text('{"query": "旧的"}\n', "utf-8")
    (sets / "lists.jsonl").write_text('{"passage": ["one", null, "two", " "]}\n', "utf-8")
    found = texts_of(str(sets), corpus=False)
    nested = {each for each in found if "/" in each[0]}
    assert nested == {("more/zh/test", text) for text in ("问一", "答一", "答二")}
    assert [text for name, text in found if name == "lists"] == ["one", "two"]
    assert not {"草稿", "旧的"} & {text for _, text in found}


@pytest.mark.parametrize(
    ("name", "columns", "corpus"),
    [
        ("none", {"text": []}, True),
        ("blank", {"sentence1": [None], "sentence2": ["\u3000"]}, True),
        ("judged.qrels", {"query_id": ["q1"], "corpus_id": ["d1"]}, True),
        ("passages.corpus", {"text": [LONG]}, False),
    ],
)
def test_a_set_without_any_text_is_named(
    tmp_path: Path, sets: Path, name: str, columns: dict[str, list[object]], corpus: bool
) -> None:
    write_table(sets / f"{name}.parquet", **columns)
    folder = folder_of(tmp_path / "data", [pair_of("别的")])
    config = DecontaminateConfig(evaluation=(str(sets),), corpus=corpus)
    with pytest.raises(InputError, match=f"no text of the evaluation set {name.split('.')[0]} is read"):
        decontaminate(folder, config, workers=1)
    assert folder.record("marks/evaluation") is None


def test_places_without_evaluation_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        evaluation_files((str(tmp_path / "missing"),))
    with pytest.raises(InputError, match="holds no evaluation files"):
        evaluation_files((str(tmp_path),))
    (tmp_path / "notes.txt").write_text("甲")
    with pytest.raises(InputError, match="holds no evaluation files"):
        evaluation_files((str(tmp_path / "notes.txt"),))


def folder_of(path: Path, *parts: list[Pair]) -> DataFolder:
    def make(place: Workplace) -> Counts:
        for number, rows in enumerate(parts):
            write_pairs(place.folder / f"0000-{number:04}.parquet", rows)
        return {}

    run_step(path / "pairs", make, settings={}, inputs={}, code=())
    return DataFolder(path)


def test_the_step_marks_pairs_with_the_name_of_the_set(tmp_path: Path, sets: Path) -> None:
    judged = Pair("judged", "sts", "甲方，乙方", "别的", 0.0, "zh", pair_id="j")
    folder = folder_of(
        tmp_path / "data", [pair_of("别的"), judged], [pair_of("别的", "怎么退款？"), pair_of(LONG)]
    )
    config = DecontaminateConfig(evaluation=(str(sets),), corpus=False)
    record = decontaminate(folder, config, workers=1)
    parts = [list(read_marks(path)) for path in folder.parts("marks/evaluation").values()]
    assert parts == [
        [Mark(1, "j", "equals evaluation", 1.0, "sts")],
        [Mark(0, "", "equals evaluation", 1.0, "faq")],
    ]
    counted = {"judged": {"equals evaluation": 1}, "s": {"equals evaluation": 1}}
    texts = {"faq": 1, "news": 1, "r": 1, "sts": 3}
    assert record.counts == {"rows": 4, "marked": counted, "evaluation": texts}
    assert folder.mark_steps() == ["marks/evaluation"]
    assert decontaminate(folder, config).kept
    with_corpus = DecontaminateConfig(evaluation=(str(sets),))
    assert decontaminate(folder, with_corpus, workers=1).counts["marked"]["s"] == {"equals evaluation": 2}
    (sets / "faq.jsonl").write_text('{"query": "别的"}\n', "utf-8")
    assert not decontaminate(folder, config, workers=1).kept
    assert [mark.id for mark in folder.marks("0000-0000", ["marks/evaluation"])] == ["", "j"]


def test_a_file_without_texts_is_refused_before_anything_is_written(tmp_path: Path, sets: Path) -> None:
    write_table(sets / "odd.parquet", id=[1], satz=["text"])
    folder = folder_of(tmp_path / "data", [pair_of("别的")])
    with pytest.raises(InputError, match=r"odd.parquet: has no column of texts.*it has id, satz"):
        decontaminate(folder, DecontaminateConfig(evaluation=(str(sets),)))
    assert folder.record("marks/evaluation") is None


def test_settings_are_checked() -> None:
    with pytest.raises(RecipeError, match="evaluation"):
        check_settings(DecontaminateConfig, {"evaluation": []}, "data.yaml")
    config = check_settings(DecontaminateConfig, {"evaluation": ["eval"], "near": None}, "data.yaml")
    assert config.near is None and config.corpus


def test_a_window_is_found_wherever_it_stands() -> None:
    """Runs at the ends of texts, and a hundred evaluation texts that begin alike."""
    start = "这是一个很长的共同开头没有别的意思"
    texts = [("same", start + chr(0x5000 + number) * 3) for number in range(100)]
    evaluation = EvaluationTexts(texts, near=None, words=None)
    for number in np.random.default_rng(1).integers(0, 100, 10):
        assert match_of(evaluation, "前" * 5 + start + chr(0x5000 + int(number)) * 3)
    assert match_of(evaluation, "前" * 5 + start + "后" * 3) is None
