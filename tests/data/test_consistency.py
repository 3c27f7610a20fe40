"""Pairs whose partner ranks low are marked, in both languages, and chance does not decide."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from yuyi.config import check_settings
from yuyi.data.consistency import ConsistencyConfig, filter_by_consistency
from yuyi.data.folder import DataFolder
from yuyi.data.mining.dense import UNIT, count_above, scores_of, whole_numbers
from yuyi.data.step import Counts, Workplace, run_step
from yuyi.errors import InputError, RecipeError
from yuyi.records import Mark, Pair, read_marks, write_marks, write_pairs

if TYPE_CHECKING:
    from pathlib import Path

DISHES = [
    "红烧肉",
    "清蒸鱼",
    "麻婆豆腐",
    "宫保鸡丁",
    "番茄炒蛋",
    "土豆丝",
    "糖醋排骨",
    "鱼香肉丝",
    "回锅肉",
    "鸡汤",
]
FAULTS = ["冰箱", "洗衣机", "空调", "电视", "手机", "打印机", "路由器", "键盘", "相机", "汽车"]
# fmt: off
TOPICS = [
    "goat", "violin", "glacier", "mortgage", "volcano", "bicycle", "tax", "turbine", "orchid", "passport",
]
# fmt: on
# The pools here are small: 20 Chinese texts, 10 English ones.
CONFIG = ConsistencyConfig(least_pool=10)


def related(source: str = "menus") -> list[Pair]:
    texts = [(f"{dish}怎么做？", f"做{dish}先把材料洗净切好，再下锅。", "zh") for dish in DISHES]
    texts += [(f"{thing}坏了怎么办？", f"{thing}出了故障，可以先断电再送去维修。", "zh") for thing in FAULTS]
    texts += [
        (f"What is a {one}?", f"A {one} is explained here: all about the {one}.", "en") for one in TOPICS
    ]
    return [
        Pair(source, "qa", a, b, None, lang, pair_id=f"{number:016x}")
        for number, (a, b, lang) in enumerate(texts)
    ]


def wrong(pairs: list[Pair], row: int, other: int) -> Pair:
    return Pair(
        pairs[row].source,
        "qa",
        pairs[row].text_a,
        pairs[other].text_b,
        None,
        pairs[row].lang,
        pair_id=f"w{row}",
    )


def make_folder(path: Path, **parts: list[Pair]) -> DataFolder:
    def make(place: Workplace) -> Counts:
        for name, pairs in parts.items():
            write_pairs(place.folder / f"{name}.parquet", pairs)
        return {}

    run_step(path / "pairs", make, settings=str(parts), inputs={}, code=())
    return DataFolder(path)


def marks(folder: DataFolder) -> dict[str, Mark]:
    return {mark.id: mark for path in folder.parts("marks/consistency").values() for mark in read_marks(path)}


def test_a_partner_of_another_subject_is_marked_and_its_rank_told(tmp_path: Path) -> None:
    pairs = related()
    pairs += [wrong(pairs, 0, 14), wrong(pairs, 12, 3), wrong(pairs, 27, 22)]
    folder = make_folder(tmp_path, a=pairs[:20], b=pairs[20:])
    record = filter_by_consistency(folder, CONFIG)
    found = marks(folder)
    assert {name: mark.note for name, mark in found.items()} == {
        "w0": "of 20",
        "w12": "of 20",
        "w27": "of 10",
    }
    assert all(mark.reason == "inconsistent" and mark.value > 3 for mark in found.values())
    assert found["w0"].row == 10
    assert record.counts["marked"] == {"menus": {"inconsistent": 3}}
    assert record.counts["rows"] == 33 and record.counts["judged"] == {"menus": 33}
    assert record.counts["by_kind"] == {"qa": {"judged": 33, "inconsistent": 3}}
    assert folder.mark_steps() == ["marks/consistency"]


def test_a_translation_is_ranked_among_translations(tmp_path: Path) -> None:
    words = ["天气", "猫", "桥梁", "大学", "音乐", "火车", "苹果", "医院", "河流", "战争", "足球"]
    english = [
        "weather",
        "cat",
        "bridge",
        "university",
        "music",
        "train",
        "apple",
        "hospital",
        "river",
        "war",
        "football",
    ]
    pairs = [
        Pair("news", "parallel", f"This is about the {b}.", f"这是关于{a}的。", None, "en-zh", pair_id=b)
        for a, b in zip(words, english, strict=True)
    ]
    alike = [
        Pair(
            "news",
            "first_rest",
            f"The {b}",
            f"This is about the {b} again.",
            None,
            "en",
            pair_id=f"{b} again",
        )
        for b in english
    ]
    folder = make_folder(tmp_path, a=[*pairs, *alike])
    filter_by_consistency(folder, CONFIG)
    assert marks(folder) == {}


def test_small_sources_labels_and_dropped_pairs_are_left_alone(tmp_path: Path) -> None:
    pairs = related()
    few = [wrong(related("few"), row, 14) for row in range(5)]
    judged = [Pair("menus", "qa", "红烧肉怎么做？", pairs[14].text_b, 0.0, "zh", pair_id="labelled")]
    folder = make_folder(tmp_path, a=[*pairs, *few, *judged, wrong(pairs, 1, 14)])
    last = len(pairs) + 6

    def make(place: Workplace) -> Counts:
        write_marks(place.folder / "a.parquet", [Mark(last, "w1", "too short", 1)])
        return {}

    run_step(
        tmp_path / "marks/filters", make, settings={}, inputs={"pairs": folder.need("pairs").digest}, code=()
    )
    record = filter_by_consistency(folder, CONFIG)
    assert marks(folder) == {} and record.counts["too_few"] == {"few": 5}
    filter_by_consistency(folder, ConsistencyConfig(least_pool=10, labelled=True, dropped=True))
    assert set(marks(folder)) == {"labelled", "w1"}


def test_other_pairs_are_judged_though_later_marks_are_out_of_date(tmp_path: Path) -> None:
    pairs = related()
    folder = make_folder(tmp_path, a=[*pairs, wrong(pairs, 0, 14)])

    def mark(name: str, row: int) -> None:
        def make(place: Workplace) -> Counts:
            write_marks(place.folder / "a.parquet", [Mark(row, "", "too short", 1)])
            return {}

        inputs = {"pairs": folder.need("pairs").digest}
        run_step(tmp_path / name, make, settings=row, inputs=inputs, code=())

    mark("marks/quality", 30)
    assert set(filter_by_consistency(folder, CONFIG).inputs) == {"pairs", "encoder"}
    assert set(marks(folder)) == {"w0"}
    folder = make_folder(tmp_path, a=[*pairs, wrong(pairs, 12, 3), wrong(pairs, 1, 14)])
    mark("marks/filters", 31)
    record = filter_by_consistency(folder, CONFIG)
    assert set(marks(folder)) == {"w12"} and set(record.inputs) == {"pairs", "encoder", "marks/filters"}
    assert filter_by_consistency(folder, CONFIG).kept
    folder = make_folder(tmp_path, a=pairs)
    with pytest.raises(InputError, match=r"marks/filters.*yuyi data filter"):
        filter_by_consistency(folder, CONFIG)


@given(st.integers(60, 100_000), st.floats(0.05, 1))
def test_chance_passes_a_pair_no_more_often_than_said(pool: int, share: float) -> None:
    assert ConsistencyConfig(top_share=share).lowest_rank("qa", pool) <= share * pool * (1 + 1e-12)


def test_a_pool_is_drawn_alike_however_the_pairs_are_cut_into_parts(tmp_path: Path) -> None:
    pairs = related() + [wrong(related(), row, 19 - row) for row in range(8)]
    config = ConsistencyConfig(pool=12, least_pool=5)
    found = []
    for cut in (0, 7, 21):
        folder = make_folder(tmp_path / str(cut), a=pairs[:cut], b=pairs[cut:])
        filter_by_consistency(folder, config)
        found.append({name: (mark.value, mark.note) for name, mark in marks(folder).items()})
    assert found[0] == found[1] == found[2] and found[0]


def test_a_rerun_is_kept_and_an_interrupted_one_ends_alike(tmp_path: Path) -> None:
    pairs = [*related(), wrong(related(), 0, 14)]
    folder = make_folder(tmp_path, a=pairs, b=pairs[:5])
    first = filter_by_consistency(folder, CONFIG)
    assert filter_by_consistency(folder, CONFIG).kept
    shutil.rmtree(tmp_path / "marks")
    calls = iter([None, OSError("disk full")])

    def stop(texts: int, tokens: int = 0) -> None:
        if error := next(calls, None):
            raise error

    with pytest.raises(Exception, match="disk full"):
        filter_by_consistency(folder, CONFIG, on_done=stop)
    assert filter_by_consistency(folder, CONFIG).digest == first.digest


@pytest.mark.parametrize(
    ("kind", "pool", "lowest"),
    [
        *[("qa", 8, 3), ("qa", 30, 7), ("qa", 2_000, 500), ("qa", 50_000, 1_000)],
        *[("parallel", 8, 3), ("parallel", 50_000, 10)],
    ],
)
def test_the_lowest_rank_grows_with_the_pool(kind: str, pool: int, lowest: int) -> None:
    assert ConsistencyConfig().lowest_rank(kind, pool) == lowest


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(RecipeError, match="topk"):
        check_settings(ConsistencyConfig, {"topk": 3}, "data.yaml")


@given(arrays(np.float32, st.tuples(st.integers(2, 40), st.just(24)), elements=st.floats(-1, 1, width=32)))
def test_counting_agrees_with_whole_number_arithmetic(vectors: np.ndarray) -> None:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = whole_numbers(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0))
    exact = vectors.astype(np.int64) @ vectors.astype(np.int64).T
    partners = np.roll(vectors, 1, axis=0)
    level = (vectors.astype(np.int64) * partners).sum(axis=1)
    assert count_above(vectors, partners, vectors).tolist() == (exact > level[:, None]).sum(axis=1).tolist()
    assert np.array_equal(scores_of(vectors, partners), (level / UNIT**2).astype(np.float32))
