"""The training set obeys marks, holds to its shares, and does not depend on how it was made."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
from folders import data_folder, document, mark, negatives, pair, step
from hypothesis import given
from hypothesis import strategies as st

from yuyi.artifacts import hash_file
from yuyi.config import check_settings
from yuyi.data import mixture
from yuyi.data.folder import DataFolder
from yuyi.data.mixing.allotment import allot, tempered_weights
from yuyi.data.mixture import Caps, MixtureConfig, Weights
from yuyi.errors import InputError, RecipeError
from yuyi.records import Mark, read_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.data.step import StepRecord
    from yuyi.records import Pair

# Three sources of 900, 100 and 16 pairs; the first has two kinds.
PAIRS = {
    "0000-0000": [pair("文档", "title_lead" if number < 800 else "qa", number) for number in range(900)],
    "0001-0000": [pair("forum", "qa", number, lang="en") for number in range(100)],
    "0001-0001": [pair("小源", "parallel", number, lang="en-zh") for number in range(16)],
}


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return data_folder(tmp_path / "data", PAIRS)


def mix(folder: DataFolder, config: MixtureConfig, workers: int = 1) -> StepRecord:
    return mixture.mix(folder, config, workers=workers)


def rows(folder: DataFolder) -> list[Pair]:
    return list(read_pairs(folder.path / "mixture" / "train.parquet"))


def taken(folder: DataFolder) -> Counter[str]:
    return Counter(one.source for one in rows(folder))


def manifest(folder: DataFolder) -> dict:
    return json.loads((folder.path / "mixture" / "manifest.json").read_text("utf-8"))


def ids(some: list[Pair]) -> list[str]:
    return [one.pair_id for one in some]


def test_alpha_1_takes_everything_once_and_shuffles_it(folder: DataFolder) -> None:
    record = mix(folder, MixtureConfig(alpha=1))
    assert record.counts["rows"] == 1016
    got = rows(folder)
    assert sorted(ids(got)) == sorted(one.pair_id for part in PAIRS.values() for one in part)
    originals = {one.pair_id: one for part in PAIRS.values() for one in part}
    assert all(one == originals[one.pair_id] for one in got)
    places = [place for place, one in enumerate(got) if one.source == "forum"]
    assert 350 < np.mean(places) < 650 and max(np.diff(places)) < 100


def test_shares_are_powers_of_the_sizes(folder: DataFolder) -> None:
    mix(folder, MixtureConfig(size=90, alpha=0.5))
    # 30 : 10 : 4 of the square roots; the smallest source has enough rows for its share.
    assert taken(folder) == {"文档": 62, "forum": 20, "小源": 8}


def test_what_a_small_source_cannot_give_comes_from_the_others(folder: DataFolder) -> None:
    mix(folder, MixtureConfig(size=440, alpha=0.5))
    assert taken(folder) == {"文档": 324, "forum": 100, "小源": 16}
    assert len(set(ids(rows(folder)))) == 440


def test_repeating_fills_the_shares_of_small_sources(folder: DataFolder) -> None:
    mix(folder, MixtureConfig(size=440, alpha=0.5, repeat=3))
    assert taken(folder) == {"文档": 300, "forum": 100, "小源": 40}
    times = Counter(ids(rows(folder)))
    assert set(times.values()) <= {1, 2, 3} and sum(count == 3 for count in times.values()) == 8


def test_without_a_size_everything_is_taken(folder: DataFolder) -> None:
    mix(folder, MixtureConfig(alpha=0.5))
    kinds = Counter((one.source, one.kind) for one in rows(folder))
    assert kinds == {
        ("文档", "title_lead"): 800,
        ("文档", "qa"): 100,
        ("forum", "qa"): 100,
        ("小源", "parallel"): 16,
    }


def test_without_a_size_neither_alpha_nor_repeat_changes_what_weights_give(folder: DataFolder) -> None:
    weights = Weights(sources={"文档": 0.5, "forum": 0.25}, kinds={"parallel": 3, "qa": 0.5})
    for alpha, repeat in ((0.5, 1), (0, 1), (1, 5)):
        mix(folder, MixtureConfig(alpha=alpha, repeat=repeat, weights=weights))
        kinds = Counter((one.source, one.kind) for one in rows(folder))
        assert kinds == {
            ("文档", "title_lead"): 400,
            ("文档", "qa"): 25,
            ("forum", "qa"): 13,
            ("小源", "parallel"): 16,
        }
        assert max(Counter(ids(rows(folder))).values()) == 1


def test_what_a_kind_cannot_give_under_the_cap_of_its_source_another_gives(folder: DataFolder) -> None:
    mix(folder, MixtureConfig(caps=Caps(sources={"文档": 200}, kinds={"title_lead": 120})))
    kinds = Counter((one.source, one.kind) for one in rows(folder))
    assert kinds[("文档", "title_lead")] == 120 and kinds[("文档", "qa")] == 80
    # And what a source may not give of a kind comes from another source.
    mix(folder, MixtureConfig(caps=Caps(sources={"文档": 9}, kinds={"qa": 60})))
    kinds = Counter((one.source, one.kind) for one in rows(folder))
    assert kinds[("文档", "title_lead")] + kinds[("文档", "qa")] == 9
    assert kinds[("文档", "qa")] + kinds[("forum", "qa")] == 60


def test_weights_and_caps(folder: DataFolder) -> None:
    config = MixtureConfig(
        alpha=1,
        weights=Weights(sources={"forum": 0.5}, tasks={"translation": 0}),
        caps=Caps(kinds={"title_lead": 70}),
        tasks={"parallel": "translation"},
    )
    mix(folder, config)
    kinds = Counter((one.source, one.kind) for one in rows(folder))
    assert kinds == {("文档", "title_lead"): 70, ("文档", "qa"): 100, ("forum", "qa"): 50}
    mix(folder, MixtureConfig(alpha=1, caps=Caps(kinds={"qa": 50}, sources={"文档": 40})))
    assert taken(folder) == {"文档": 40, "forum": 46, "小源": 16}


def test_the_number_of_processes_changes_no_byte(folder: DataFolder, tmp_path: Path) -> None:
    other = data_folder(tmp_path / "other", PAIRS)
    one = mix(folder, MixtureConfig(size=300), workers=1)
    two = mix(other, MixtureConfig(size=300), workers=2)
    assert one.digest == two.digest and one.counts == two.counts


def test_the_seed_decides_rows_and_order(folder: DataFolder) -> None:
    mix(folder, MixtureConfig(size=300))
    first = ids(rows(folder))
    assert mix(folder, MixtureConfig(size=300)).kept
    mix(folder, MixtureConfig(size=300, seed=1))
    second = ids(rows(folder))
    assert first != second and set(first) != set(second) and len(first) == len(second) == 300


def marked(folder: DataFolder) -> None:
    short = [Mark(row, PAIRS["0001-0000"][row].pair_id, "too short", 1.0) for row in range(10)]
    near = [Mark(row, PAIRS["0001-0000"][row].pair_id, "near duplicate", 0.9, "0f") for row in range(5, 25)]
    mark(folder, "filters", {"0001-0000": short})
    mark(folder, "duplicates", {"0001-0000": near})


def test_marked_pairs_are_left_out(folder: DataFolder) -> None:
    marked(folder)
    mix(folder, MixtureConfig(alpha=1))
    assert taken(folder)["forum"] == 75
    mix(folder, MixtureConfig(alpha=1, ignore=("near duplicate",)))
    assert taken(folder)["forum"] == 90
    forum = manifest(folder)["sources"]["forum"]
    assert forum["dropped"] == {"too short": 10} and (forum["pairs"], forum["kept"]) == (100, 90)


def test_a_pair_with_two_reasons_is_dropped_once(folder: DataFolder) -> None:
    marked(folder)
    mix(folder, MixtureConfig())
    forum = manifest(folder)["sources"]["forum"]
    assert forum["dropped"] == {"near duplicate": 20, "too short": 10}
    assert forum["dropped_pairs"] == manifest(folder)["dropped_pairs"] == 25


def test_a_reason_that_does_not_occur_is_named_with_those_that_do(folder: DataFolder) -> None:
    marked(folder)
    with pytest.raises(InputError, match=r"mix.ignore: 'to short'.*near duplicate, too short"):
        mix(folder, MixtureConfig(ignore=("to short",)))
    with pytest.raises(InputError, match=r"mix.weights.sources: 'Forum'.*forum, 小源, 文档"):
        mix(folder, MixtureConfig(weights=Weights(sources={"Forum": 2})))
    with pytest.raises(InputError, match=r"mix.tasks: 'nokind'.*parallel, qa, title_lead"):
        mix(folder, MixtureConfig(tasks={"nokind": "x"}))
    assert not (folder.path / "mixture").exists()


def test_pairs_of_marked_documents_are_left_out(tmp_path: Path) -> None:
    documents = [
        document("文档", "a", "甲" * 30),
        document("文档", "b", "乙"),
        document("文档", "a", "A", "en"),
    ]
    pairs = [
        pair("文档", "qa", 0, doc_id="a"),
        pair("文档", "qa", 1, doc_id="b"),
        pair("文档", "qa", 2, doc_id="a", lang="en"),
        pair("文档", "parallel", 3, doc_id="b", doc_a="a"),
    ]
    folder = data_folder(tmp_path, {"0000-0000": pairs}, {"0000-0000": documents})
    mark(folder, "documents", {"0000-0000": [Mark(0, "a", "near duplicate", 0.9, "b")]}, on="documents")
    mix(folder, MixtureConfig(alpha=1))
    assert sorted(ids(rows(folder))) == [pairs[1].pair_id, pairs[2].pair_id]
    assert manifest(folder)["sources"]["文档"]["dropped"] == {"document: near duplicate": 2}
    mix(folder, MixtureConfig(alpha=1, ignore=("document: near duplicate",)))
    assert len(rows(folder)) == 4


def test_a_document_of_the_asking_side_may_lie_in_another_part(tmp_path: Path) -> None:
    documents = {
        "0000-0000": [document("文档", "a", "甲"), document("文档", "b", "乙"), document("论坛", "b", "丙")],
        "0001-0000": [document("文档", "a", "A", "en"), document("文档", "b", "B", "en")],
    }
    pairs = [
        pair("文档", "parallel", 0, lang="zh-en", doc_id="a", doc_a="a"),
        pair("文档", "parallel", 1, lang="zh-en", doc_id="b", doc_a="b"),
        pair("文档", "duplicate_questions", 2, lang="en", doc_id="b", doc_a="a"),
        pair("文档", "duplicate_questions", 3, lang="en", doc_id="b", doc_a="b"),
        pair("论坛", "duplicate_questions", 4, lang="zh", doc_id="c", doc_a="b"),
    ]
    folder = data_folder(tmp_path, {"0001-0000": pairs}, documents)
    marks = {"0000-0000": [Mark(1, "b", "duplicate", 1.0, "文档 a")], "0001-0000": []}
    mark(folder, "documents", marks, on="documents")
    mix(folder, MixtureConfig())
    # The second is made from the Chinese b, which is marked; the others are not.
    assert set(ids(rows(folder))) == {pairs[place].pair_id for place in (0, 2, 3, 4)}
    assert manifest(folder)["sources"]["文档"]["dropped"] == {"document: duplicate": 1}


@pytest.mark.parametrize("step", ["marks/filters", "marks/documents", "negatives"])
def test_a_lost_file_is_not_taken_for_no_marks(tmp_path: Path, step: str) -> None:
    folder = data_folder(
        tmp_path, {"0000-0000": [pair("文档", "qa", 0)]}, {"0000-0000": [document("文档", "a", "甲")]}
    )
    mark(folder, "filters", {"0000-0000": [Mark(0, "", "too short", 1.0)]})
    mark(folder, "documents", {"0000-0000": [Mark(0, "a", "duplicate", 1.0)]}, on="documents")
    negatives(folder, {"0000-0000": [(0, "别的")]})
    (folder.path / step / "0000-0000.parquet").unlink()
    config = MixtureConfig(ignore=("too short",))
    with pytest.raises(InputError, match=f"{step}/0000-0000.parquet: is missing, though {step} wrote it"):
        mix(folder, config)


def test_nothing_left_names_the_marks(folder: DataFolder) -> None:
    every = {
        part: [Mark(row, "", "too short", 0) for row in range(len(some))] for part, some in PAIRS.items()
    }
    mark(folder, "filters", every)
    with pytest.raises(InputError, match=r"none of 1,016 pairs is left. Dropped: too short \(1,016\)"):
        mix(folder, MixtureConfig())
    assert not (folder.path / "mixture").exists()


def test_more_rows_than_there_are(folder: DataFolder) -> None:
    with pytest.raises(InputError, match=r"mix.size: 5,000 rows, but only 1,016 may be taken"):
        mix(folder, MixtureConfig(size=5000))


def test_marks_of_other_pairs_are_refused(folder: DataFolder) -> None:
    marked(folder)
    data_folder(folder.path, {"0000-0000": PAIRS["0000-0000"]}, settings={"again": True})
    folder_after = DataFolder(folder.path)
    (folder.path / "pairs" / "step.json").write_text(
        (folder.path / "pairs" / "step.json").read_text("utf-8").replace('"digest": "', '"digest": "0'),
        "utf-8",
    )
    with pytest.raises(InputError, match="was made from other pairs than are there now"):
        mix(folder_after, MixtureConfig())


def test_negatives_are_joined(folder: DataFolder) -> None:
    negatives(folder, {"0001-0000": [(0, "第一"), (0, "second"), (0, "third"), (3, "第四")]})
    mix(folder, MixtureConfig(alpha=1, negatives=2))
    by_id = {one.pair_id: one.negatives for one in rows(folder)}
    forum = PAIRS["0001-0000"]
    assert by_id[forum[0].pair_id] == ("第一", "second") and by_id[forum[3].pair_id] == ("第四",)
    assert sum(map(len, by_id.values())) == 3
    mix(folder, MixtureConfig(alpha=1))
    assert sum(len(one.negatives) for one in rows(folder)) == 4


def test_columns_of_sentence_transformers(folder: DataFolder) -> None:
    negatives(folder, {"0001-0000": [(0, "第一"), (0, "second"), (3, "第四")]})
    with pytest.raises(RecipeError, match=r"mix.negatives: null"):
        mix(folder, MixtureConfig(columns="sentence-transformers"))
    mix(folder, MixtureConfig(alpha=1, columns="sentence-transformers", negatives=2, format="jsonl"))
    file = folder.path / "mixture" / "train.jsonl"
    forum = PAIRS["0001-0000"][0]
    expected = {
        "anchor": forum.text_a,
        "positive": forum.text_b,
        "negative_1": "第一",
        "negative_2": "second",
    }
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == [expected]
    assert manifest(folder)["sources"]["forum"]["dropped"] == {"too few negatives": 99}


def test_pairs_may_come_with_negatives_of_their_own(tmp_path: Path) -> None:
    some = [
        pair("s", "qa", 0, negatives=("自带一", "自带二")),
        pair("s", "qa", 1, negatives=("own",)),
        pair("s", "qa", 2, negatives=("own one", "own two")),
        pair("s", "qa", 3),
    ]
    folder = data_folder(tmp_path, {"0000-0000": some})
    with pytest.raises(RecipeError, match=r"mix.negatives: null"):
        mix(folder, MixtureConfig(columns="sentence-transformers"))
    mix(folder, MixtureConfig(columns="sentence-transformers", negatives=2))
    table = pq.read_table(folder.path / "mixture" / "train.parquet").to_pylist()
    assert sorted(row["negative_2"] for row in table) == ["own two", "自带二"]
    assert manifest(folder)["sources"]["s"]["dropped"] == {"too few negatives": 2}
    # What was mined goes before.
    negatives(folder, {"0000-0000": [(2, "挖出的")]})
    mix(folder, MixtureConfig(columns="sentence-transformers", negatives=1))
    table = pq.read_table(folder.path / "mixture" / "train.parquet").to_pylist()
    assert sorted(row["negative_1"] for row in table) == ["own", "挖出的", "自带一"]
    mix(folder, MixtureConfig())
    assert {one.pair_id: one.negatives for one in rows(folder)} == {
        some[0].pair_id: ("自带一", "自带二"),
        some[1].pair_id: ("own",),
        some[2].pair_id: ("挖出的",),
        some[3].pair_id: (),
    }


def test_negatives_that_were_mined_before_other_marks_are_refused(folder: DataFolder) -> None:
    negatives(folder, {"0001-0000": [(0, "测试集里的话")]})
    mark(folder, "evaluation", {"0000-0000": [Mark(0, "", "equals evaluation", 1.0)]})
    with pytest.raises(InputError, match=r"mined before marks/evaluation marked pairs.*yuyi data mine"):
        mix(folder, MixtureConfig())
    assert mix(folder, MixtureConfig(negatives=0)).counts["rows"] == 1015
    negatives(folder, {"0001-0000": [(0, "别的话")]})
    assert mix(folder, MixtureConfig()).counts["rows"] == 1015
    mark(folder, "evaluation", {"0000-0000": [Mark(1, "", "near evaluation", 0.9)]})
    with pytest.raises(InputError, match=r"negatives: was made from other marks/evaluation .*yuyi data mine"):
        mix(folder, MixtureConfig())


def test_marks_that_were_made_with_other_marks_are_refused(folder: DataFolder) -> None:
    def consistency() -> None:
        steps = {name: folder.need(name).digest for name in ("pairs", "marks/filters")}
        step(folder, "marks/consistency", steps, {})

    mark(folder, "filters", {"0000-0000": [Mark(0, "", "too short", 1.0)]})
    consistency()
    mix(folder, MixtureConfig())
    assert mixture.current_mixture(folder).counts["rows"] == 1015
    mark(folder, "filters", {"0000-0000": [Mark(1, "", "too long", 2000.0)]})
    with pytest.raises(InputError, match=r"consistency: was made from other .*yuyi data consistency"):
        mix(folder, MixtureConfig())
    consistency()
    with pytest.raises(InputError, match=r"mixture: was made from other marks/filters .*yuyi data mix "):
        mixture.current_mixture(folder)
    assert mix(folder, MixtureConfig()).counts["rows"] == 1015
    mark(folder, "quality", {"0000-0000": [Mark(2, "", "low quality", 1.0)]})
    with pytest.raises(InputError, match=r"made from other marks/quality than .*yuyi data mix "):
        mixture.current_mixture(folder)


def test_judged_pairs_are_no_positives(tmp_path: Path) -> None:
    some = [pair("s", "nli", number, label=float(number % 2) if number < 5 else None) for number in range(8)]
    folder = data_folder(tmp_path, {"0000-0000": some})
    mix(folder, MixtureConfig(alpha=1, columns="sentence-transformers"))
    table = pq.read_table(folder.path / "mixture" / "train.parquet")
    assert table.column_names == ["anchor", "positive"] and table.num_rows == 3
    assert manifest(folder)["sources"]["s"]["dropped"] == {"has a label": 5}


def test_the_manifest_tells_where_everything_came_from(tmp_path: Path) -> None:
    source = {"path": "docs/", "name": "docs", "origin": "https://example.org", "licence": "CC-BY-4.0"}
    folder = data_folder(
        tmp_path,
        {"0000-0000": [pair("文档", "qa", 1, doc_id="a")], "0001-0000": [pair("s", "qa", 2)]},
        {"0000-0000": [document("文档", "a", "正文")]},
        settings={"sources": [source]},
        collections={"docs": {"文档": 1}},
    )
    mix(folder, MixtureConfig(seed=7))
    told = manifest(folder)
    assert told["sha256"] == hash_file(folder.path / "mixture" / "train.parquet")
    assert (told["rows"], told["seed"], told["settings"]["alpha"]) == (2, 7, 0.5)
    doc = told["sources"]["文档"]
    assert (doc["origin"], doc["licence"], doc["documents"]) == (
        "https://example.org",
        "CC-BY-4.0",
        1,
    )
    assert (doc["taken"], doc["share"]) == (1, 0.5)
    assert told["sources"]["s"]["licence"] is None
    assert told["steps"]["documents"]["settings"] == {"sources": [source]}
    assert told["steps"]["pairs"]["digest"] == folder.need("pairs").digest


def test_settings_name_the_key_and_what_it_may_be() -> None:
    with pytest.raises(RecipeError, match=r"mix: columns: .*'yuyi' or 'sentence-transformers'"):
        check_settings(MixtureConfig, {"columns": "st"}, "mix")
    with pytest.raises(RecipeError, match=r"alpha: .*less than or equal to 1"):
        check_settings(MixtureConfig, {"alpha": 2}, "mix")


GROUPS = st.lists(
    st.tuples(st.floats(0.01, 100), st.integers(0, 500), st.integers(0, 2), st.integers(0, 2)),
    min_size=1,
    max_size=20,
)


@given(GROUPS, st.lists(st.integers(0, 800), min_size=6, max_size=6), st.integers(0, 5000))
def test_allotting_keeps_to_limits_and_caps_and_wastes_nothing(
    groups: list[tuple[float, int, int, int]], most: list[int], total: int
) -> None:
    weights, limits, sources, kinds = (np.array(column) for column in zip(*groups, strict=True))
    every = np.ones(len(groups), bool)
    caps = [(sources == n, most[n]) for n in range(3)] + [(kinds == n, most[3 + n]) for n in range(3)]
    got = allot(weights, limits, [*caps, (every, total)])
    assert (got >= 0).all() and (got <= limits).all()
    assert all(got[group].sum() <= cap for group, cap in [*caps, (every, total)])
    # Nobody could give another row, but for what rounding leaves of a cap that several groups share.
    for place in np.flatnonzero(got + len(groups) < limits):
        assert any(
            got[group].sum() + len(groups) >= cap for group, cap in [*caps, (every, total)] if group[place]
        )


@given(GROUPS, st.integers(0, 5000))
def test_a_total_is_reached_and_divided_by_the_weights(
    groups: list[tuple[float, int, int, int]], total: int
) -> None:
    weights, limits = np.array([w for w, *_ in groups]), np.array([n for _, n, *_ in groups])
    got = allot(weights, limits, [(np.ones(len(groups), bool), total)])
    assert got.sum() == min(total, limits.sum())
    free = got < limits
    if free.sum() > 1:
        scale = got[free] / weights[free]
        assert np.abs(np.subtract.outer(scale, scale)).max() <= 1 / weights[free].min() + 1e-4


def test_weights_of_nature_and_equal_weights() -> None:
    sources, sizes = np.array([0, 0, 1]), np.array([75, 25, 400])
    assert tempered_weights(sources, sizes, 1).tolist() == [75, 25, 400]
    assert tempered_weights(sources, sizes, 0).tolist() == [0.75, 0.25, 1]
    assert tempered_weights(sources, sizes, 0.5).sum() == pytest.approx(30)
