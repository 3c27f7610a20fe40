"""Negatives resemble the answer, do not answer, and come with an estimate of those that do after all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from folders import data_folder, document
from folders import mark as mark_step

from yuyi.config import check_settings
from yuyi.data.folder import DataFolder
from yuyi.data.negatives import Negatives, NegativesConfig, mine_negatives
from yuyi.data.step import Counts, Workplace, run_step
from yuyi.encode.load import EMBEDDED
from yuyi.errors import RecipeError
from yuyi.records import Mark, Pair, read_records, write_marks, write_pairs

if TYPE_CHECKING:
    from pathlib import Path

DISHES = ["红烧肉", "清蒸鱼", "麻婆豆腐", "宫保鸡丁", "番茄炒蛋", "土豆丝", "糖醋排骨", "鱼香肉丝", "回锅肉"]
CITIES = ["Paris", "Lima", "Oslo", "Cairo", "Quito", "Hanoi", "Delhi", "Tokyo", "Accra"]


def make_pair(number: int, a: str, b: str, lang: str, doc: str = "", label: float | None = None) -> Pair:
    return Pair("guide", "qa", a, b, label, lang, doc_id=doc, pair_id=f"{number:016x}")


def guide() -> list[Pair]:
    steps = [
        "大火收汁",
        "小火慢炖",
        "加盐调味",
        "撒上葱花",
        "淋上香油",
        "切成细丝",
        "裹上淀粉",
        "放入花椒",
        "倒入料酒",
    ]
    sights = ["museum", "harbour", "fjord", "pyramid", "volcano", "lake", "temple", "garden", "beach"]
    pairs = [
        make_pair(
            i, f"{dish}怎么做？", f"{dish}的做法：先洗净原料，然后{step}，做好{dish}即可。", "zh", f"d{i}"
        )
        for i, (dish, step) in enumerate(zip(DISHES, steps, strict=True))
    ]
    return pairs + [
        make_pair(
            20 + i,
            f"What to see in {city}?",
            f"Visitors of {city} should see the {one} of {city}.",
            "en",
            f"e{i}",
        )
        for i, (city, one) in enumerate(zip(CITIES, sights, strict=True))
    ]


def make_folder(path: Path, dropped: dict[str, int] | None = None, **parts: list[Pair]) -> DataFolder:
    def make(place: Workplace) -> Counts:
        for name, pairs in parts.items():
            write_pairs(place.folder / f"{name}.parquet", pairs)
        return {}

    def mark(place: Workplace) -> Counts:
        for name, row in (dropped or {}).items():
            write_marks(place.folder / f"{name}.parquet", [Mark(row, "", "too short", 1)])
        return {}

    record = run_step(path / "pairs", make, settings=str(parts), inputs={}, code=())
    if dropped:
        run_step(path / "marks/filters", mark, settings={}, inputs={"pairs": record.digest}, code=())
    return DataFolder(path)


def mined(folder: DataFolder) -> dict[str, Negatives]:
    rows = [row for path in folder.parts("negatives").values() for row in read_records(path, Negatives)]
    return {row.pair_id: row for row in rows}


def test_negatives_resemble_the_answer_and_keep_their_distance(tmp_path: Path) -> None:
    pairs = guide()
    folder = make_folder(tmp_path, a=pairs[:11], b=pairs[11:])
    record = mine_negatives(folder, NegativesConfig(count=3), workers=1)
    found = mined(folder)
    texts = {pair.pair_id: pair for pair in pairs}
    assert set(found) == set(texts) and record.counts["pairs"] == {"guide": len(pairs)}
    assert sum(len(row.negatives) for row in found.values()) > len(pairs)
    for row in found.values():
        for one in row.negatives:
            assert one.text == texts[one.pair_id].text_b != texts[row.pair_id].text_b
            assert one.score <= 0.95 * row.positive_score + 1e-4
            assert one.lexical_rank or one.dense_rank
    dish = found[pairs[0].pair_id]
    assert all(texts[one.pair_id].lang == "zh" for one in dish.negatives)
    city = found[pairs[10].pair_id]
    assert all(texts[one.pair_id].lang == "en" for one in city.negatives)


def test_other_answers_of_the_query_its_document_and_marked_pairs_are_no_negatives(tmp_path: Path) -> None:
    pairs = guide()
    second = make_pair(40, "红烧肉 怎么做？", "红烧肉另一做法：先焯水，然后加糖炒色，炖一小时。", "zh")
    beside = make_pair(41, "红烧肉放什么料？", "红烧肉的原料：先准备五花肉和酱油，然后备好冰糖。", "zh", "d0")
    folder = make_folder(tmp_path, {"a": 2}, a=[*pairs, second, beside])
    mine_negatives(folder, NegativesConfig(most=1.0, near_copy=1.0), workers=1)
    found = mined(folder)
    assert pairs[2].pair_id not in found
    ids = {one.pair_id for one in found[pairs[0].pair_id].negatives}
    assert ids and not ids & {pairs[0].pair_id, second.pair_id, beside.pair_id, pairs[2].pair_id}
    everything = NegativesConfig(most=1.0, near_copy=1.0, same_document=True)
    mine_negatives(folder, everything, workers=1)
    assert beside.pair_id in {one.pair_id for one in mined(folder)[pairs[0].pair_id].negatives}


def test_pairs_of_marked_documents_are_left_out(tmp_path: Path) -> None:
    pairs = guide()
    documents = [document("guide", pair.doc_id, pair.text_b, pair.lang) for pair in pairs]
    folder = data_folder(tmp_path, {"a": pairs}, {"a": documents})
    mark_step(folder, "documents", {"a": [Mark(2, pairs[2].doc_id, "duplicate", 1.0)]}, on="documents")
    mine_negatives(folder, NegativesConfig(), workers=1)
    found = mined(folder)
    assert set(found) == {pair.pair_id for pair in pairs} - {pairs[2].pair_id}
    assert pairs[2].pair_id not in {one.pair_id for row in found.values() for one in row.negatives}


def test_of_many_pairs_some_are_drawn_and_all_are_passages(tmp_path: Path) -> None:
    pairs = guide()
    mine_negatives(make_folder(tmp_path, a=pairs), NegativesConfig(queries=5), workers=1)
    found = mined(DataFolder(tmp_path))
    assert len(found) == 5 and {pair.pair_id: pair for pair in pairs}.keys() > found.keys()
    texts = {one.pair_id for row in found.values() for one in row.negatives}
    assert texts - found.keys()
    rows = {row.row: row.pair_id for row in found.values()}
    assert all(pairs[row].pair_id == pair_id for row, pair_id in rows.items())


def test_the_estimate_finds_hidden_answers(tmp_path: Path) -> None:
    pairs = guide()
    answers = [
        make_pair(50 + i, pair.text_a, f"{DISHES[i]}可以这样做：洗净以后先炒，再盖上锅盖焖。", "zh")
        for i, pair in enumerate(pairs[:9])
    ]
    folder = make_folder(tmp_path, a=[*pairs, *answers])
    mine_negatives(folder, NegativesConfig(most=1.0), workers=1)
    estimate = json.loads((tmp_path / "negatives/estimate.json").read_text("utf-8"))
    hidden = estimate["hidden_answers"]
    assert hidden["pairs"] == hidden["answers"] == 18 and hidden["returned"] > 0
    assert hidden["share_of_answers"] == round(hidden["returned"] / 18, 4)
    assert estimate["covered_answers"]["sample"] == sum(bool(row.negatives) for row in mined(folder).values())
    assert estimate["examples"]["random"][0]["negative"]


def test_a_second_run_in_one_process_numbers_its_own_passages(tmp_path: Path) -> None:
    pairs = guide()
    mine_negatives(make_folder(tmp_path / "data", a=pairs[:9]), NegativesConfig(), workers=1)
    again = mine_negatives(
        make_folder(tmp_path / "data", a=pairs[4:], b=pairs[:3]), NegativesConfig(), workers=1
    )
    alone = mine_negatives(
        make_folder(tmp_path / "new", a=pairs[4:], b=pairs[:3]), NegativesConfig(), workers=1
    )
    assert again.digest == alone.digest and again.counts["pairs"] == {"guide": 17}


@pytest.mark.parametrize("scope", ["source", "all"])
def test_workers_change_nothing(tmp_path: Path, scope: str) -> None:
    pairs = guide()
    config = NegativesConfig(scope=scope)
    digests = {
        mine_negatives(make_folder(tmp_path / str(n), a=pairs[:9], b=pairs[9:]), config, workers=n).digest
        for n in (1, 2)
    }
    assert len(digests) == 1


def test_a_second_model_may_refuse(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, a=guide())
    checked = NegativesConfig(check_model=str(EMBEDDED), check_most=0.4)
    record = mine_negatives(folder, checked, workers=1)
    assert record.counts["refused"]["guide"]["second model"] > 0
    rows = mined(folder).values()
    assert any(row.negatives for row in rows)
    # It is the same model here, so its scores are known.
    assert all(one.score <= 0.4 * row.positive_score + 1e-3 for row in rows for one in row.negatives)


def test_without_queries_there_are_no_negatives(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, a=[make_pair(1, "问", "答", "zh", label=1.0)], b=[])
    assert mine_negatives(folder, NegativesConfig(), workers=1).counts["rows"] == 0
    assert mined(folder) == {}


def test_an_impossible_setting_is_refused() -> None:
    with pytest.raises(RecipeError, match="'source' or 'all'"):
        check_settings(NegativesConfig, {"scope": "everywhere"}, "data.yaml")
