"""What the gate measures: figures beside scipy, the texts, and the forms of tiny models."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

import yuyi
from yuyi.errors import InputError, ModelError
from yuyi.export.base import write_base
from yuyi.export.onnx_forms import write_float32
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import Source, open_source
from yuyi.export.static_forms import write_static_form
from yuyi.export.verifying.answers import Answers, Standard
from yuyi.export.verifying.closeness import cosines, nearest, overlap, spearman
from yuyi.export.verifying.timing import cold_start
from yuyi.export.verifying.trial import Trial, compose, read_trial, too_long_text
from yuyi.export.verifying.verify import verify
from yuyi.records import write_records

if TYPE_CHECKING:
    from yuyi.export.form import Form
    from yuyi.parity import Parity

TINY = Path(__file__).parent.parent / "tiny"
SETTINGS = ExportSettings(targets=("onnx",))
OWN = read_trial(SETTINGS)
TRIAL = replace(OWN, texts=OWN.texts[::10], passages=OWN.passages[::400])

vectors = st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=12, max_size=20)


@given(vectors, vectors)
def test_cosines_are_those_of_rows_cut_alike(a: list[list[int]], b: list[list[int]]) -> None:
    size = min(len(a), len(b))
    x, y = np.array(a[:size], np.float32), np.array(b[:size], np.float32)[:, :3]
    found = cosines(x, y)
    for row, (one, two) in enumerate(zip(x[:, :3], y, strict=True)):
        lengths = np.linalg.norm(one) * np.linalg.norm(two)
        expected = one @ two / lengths if lengths else float(not one.any() and not two.any())
        assert found[row] == pytest.approx(expected, abs=1e-6)


@given(vectors, vectors)
def test_the_nearest_are_the_first_of_the_best(a: list[list[int]], b: list[list[int]]) -> None:
    queries, passages = np.array(a, np.float32), np.array(b, np.float32)
    found = nearest(queries, passages, 10)
    assert found.shape == (len(a), 10)
    for line, query in zip(found, queries, strict=True):
        near = cosines(np.repeat(query[None], len(b), 0), passages) * query.any() * passages.any(axis=1)
        assert np.all(np.diff(near[line]) <= 1e-9)
        assert near[line].min() >= np.delete(near, line).max(initial=-2) - 1e-9
    assert overlap(found, found) == 1
    assert overlap(found, found[:, ::-1]) == 1


def test_overlap_counts_what_is_named_on_both_sides() -> None:
    assert overlap(np.array([[1, 2], [3, 4]]), np.array([[2, 9], [3, 4]])) == 0.75


@pytest.mark.filterwarnings("error")
def test_rank_correlation_of_equal_values_is_none_at_all() -> None:
    some, equal = np.array([0.1, 0.7, 0.4]), np.ones(3)
    assert spearman(some, -some) == pytest.approx(-1)
    assert spearman(some, equal) == spearman(equal, some) == 0


def test_what_is_no_number_is_near_to_nothing() -> None:
    whole, broken = np.array([[0, 0], [1, 0]], np.float32), np.full((2, 2), np.nan, np.float32)
    assert np.isnan(cosines(whole, broken)).all()


def test_vectors_of_another_length_are_refused() -> None:
    own = Answers(np.eye(21, 32, dtype=np.float32), np.zeros(80), None)
    standard = Standard(TRIAL, own, own, 16)
    with pytest.raises(ModelError, match="onnx: gives vectors of 32 values, not of 16"):
        standard.figures("onnx", own)
    assert standard.figures("static", own, comparable=False)["mean"] is None


def test_the_own_texts_are_many_and_of_many_kinds() -> None:
    assert len(OWN.texts) == len(set(OWN.texts)) == 199
    assert len(OWN.passages) == len(set(OWN.passages)) == 10_000
    assert len(OWN.pairs) == 80
    assert {score for _, _, score in OWN.pairs} >= {0.0, 5.0}
    assert "" in OWN.texts
    assert sum(any(ord(char) > 0xFFFF for char in text) for text in OWN.texts) >= 10
    chinese = sum(any("一" <= char <= "鿿" for char in text) for text in OWN.texts)
    assert 80 < chinese < 130


def test_passages_have_each_sentence_under_each_topic() -> None:
    found = Counter(compose(["甲", "b", "c"], ["一", "二"], 6))
    assert found == Counter(f"{topic}: {text}" for topic in ("甲", "b", "c") for text in ("一", "二"))
    assert list(islice(compose("abc", "xy", 6), 2)) == ["a: x", "b: y"]


@pytest.mark.parametrize("sentences", [["好 a", "天 b"], ["一段没有空格的很长的话"], ["words of a sentence"]])
@pytest.mark.parametrize("name", ["bert-zh", "bert-dense", "xlm-roberta", "modernbert"])
def test_one_text_is_a_token_too_long(name: str, sentences: list[str]) -> None:
    encoder = yuyi.load(TINY / name, backend="torch")
    _, info = encoder.encode([too_long_text(encoder, sentences)], return_info=True)
    assert encoder.max_tokens is not None
    assert encoder.max_tokens < info.tokens[0] <= encoder.max_tokens + 2
    assert info.used[0] <= encoder.max_tokens


def test_a_model_that_reads_any_length_gets_a_long_text() -> None:
    assert len(too_long_text(yuyi.load(TINY / "static"), ["今天 weather", "好"])) == 4_000


def test_passages_of_a_file_are_its_first_ones_once(tmp_path: Path) -> None:
    lines = [f"第{row}行" for row in range(20)]
    (tmp_path / "段.txt").write_text("\n".join(["", *lines, "  ", *lines]), "utf-8")
    trial = read_trial(replace(SETTINGS, passages=tmp_path / "段.txt"))
    assert trial.passages == tuple(lines)
    assert trial.sources == {"passages": "段.txt", "pairs": "yuyi"}
    (tmp_path / "few.txt").write_text("\n".join(lines[:10]), "utf-8")
    with pytest.raises(InputError, match=r"few.txt: holds 10 different texts"):
        read_trial(replace(SETTINGS, passages=tmp_path / "few.txt"))


def test_pairs_come_from_any_table(tmp_path: Path) -> None:
    from yuyi.records import Mark

    rows = [("护照", "passport", 4.5), ("天气", "car", 0.0)]
    objects = [dict(zip(("sentence1", "sentence2", "score"), row, strict=True)) for row in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({**row, "x": 1}) for row in objects), "utf-8")
    (tmp_path / "a.csv").write_text("score,sentence1,sentence2\n4.5,护照,passport\n0,天气,car\n", "utf-8")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(objects), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert read_trial(replace(SETTINGS, sts=tmp_path / name)).pairs == tuple(rows)
    write_records(tmp_path / "marks.parquet", [Mark(0, "a", "b", 1.0)], Mark)
    with pytest.raises(InputError, match="sentence1"):
        read_trial(replace(SETTINGS, sts=tmp_path / "marks.parquet"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"sentence1": "a", "score": 1}], "row 0 has no sentence2"),
        ([{"sentence1": "a", "sentence2": "b", "score": "高"}], "row 0 has score '高', which is no number"),
        ([{"sentence1": "a", "sentence2": "b", "score": 1}] * 3, "holds no pairs with different scores"),
    ],
)
def test_pairs_that_cannot_be_ranked_are_refused(tmp_path: Path, rows: list[Any], message: str) -> None:
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    with pytest.raises(InputError, match=message):
        read_trial(replace(SETTINGS, sts=tmp_path / "p.jsonl"))


def measured(
    folder: Path, source: Source, forms: list[Form], settings: ExportSettings = SETTINGS, trial: Trial = TRIAL
) -> Parity:
    return verify(folder, source, forms, trial, settings, rounds=1)


def written(folder: Path, name: str | Path, smaller: Smaller | None = None) -> tuple[Source, Form]:
    folder.mkdir()
    source = open_source(TINY / name, smaller or Smaller())
    write_base(folder, source, ("onnx",))
    return source, write_float32(folder, source, SETTINGS)


def spoil(path: Path, noise: float, start: str = "") -> None:
    """Add noise to the matrices of an ONNX file whose names start so."""
    model = onnx.load(path)
    generator = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 2 and values.dtype == np.float32 and tensor.name.startswith(start):
            changed = values + noise * generator.standard_normal(values.shape, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    onnx.save(model, path)


def test_a_form_is_measured_beside_its_model(tmp_path: Path) -> None:
    source, form = written(tmp_path / "形", "bert-zh")
    parity = measured(tmp_path / "形", source, [form])
    whole, one = parity.reference, parity.forms[0]
    assert (parity.model, parity.texts, parity.passages, parity.pairs) == ("bert-zh", 21, 25, 80)
    assert (whole.target, whole.mean, whole.overlap, whole.worst) == ("torch float32", 1.0, 1.0, ())
    assert (one.target, one.runtime, one.dim, one.overlap) == ("onnx", "yuyi", 32, 1.0)
    assert one.mean == pytest.approx(1, abs=1e-6)
    assert one.sts == pytest.approx(whole.sts, abs=0.5)
    assert one.bytes == (tmp_path / "形" / "onnx" / "model.onnx").stat().st_size
    assert min(one.texts_per_second, one.cold_start, whole.cold_start, whole.bytes) > 0
    assert one.passes
    assert int(parity.about["cores"]) >= 1
    spoil(tmp_path / "形" / "onnx" / "model.onnx", 0.1)
    spoiled = measured(tmp_path / "形", source, [form], replace(SETTINGS, least=0.1)).forms[0]
    assert spoiled.mean is not None and spoiled.lowest is not None
    assert spoiled.lowest < spoiled.mean < 0.999
    assert spoiled.passes and not replace(spoiled, least=form.least).passes
    assert spoiled.worst[0][1] == spoiled.lowest
    assert len(spoiled.worst) == 3
    assert spoiled.overlap is not None and spoiled.overlap < 1


def test_what_the_graph_gives_by_itself_is_judged_too(tmp_path: Path) -> None:
    """The engine has dense layers of its own, from the folder; who runs the file alone has the graph's."""
    source, form = written(tmp_path / "o", "bert-dense")
    spoil(tmp_path / "o" / "onnx" / "model.onnx", 1.0, "heads.")
    (spoiled,) = measured(tmp_path / "o", source, [form]).forms
    assert spoiled.mean is not None and spoiled.mean < 0.99
    assert not spoiled.passes
    assert spoiled.worst[0][1] == spoiled.lowest


def test_a_graph_is_judged_without_prompts_where_they_are_left_out_of_pooling(tmp_path: Path) -> None:
    folder = shutil.copytree(TINY / "bert-zh", tmp_path / "m")
    pooling = next(path for path in folder.glob("*/config.json") if "Pooling" in path.parent.name)
    pooling.write_text(json.dumps({**json.loads(pooling.read_text()), "include_prompt": False}))
    texts = {"prompts": {"q": "为这个句子生成表示："}, "default_prompt_name": "q"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(texts))
    source, form = written(tmp_path / "o", folder)
    assert not source.pools_prompts and source.reference.role_prompts[""]
    (one,) = measured(tmp_path / "o", source, [form]).forms
    assert one.mean == pytest.approx(1, abs=1e-6)
    assert one.overlap == 1


def test_fewer_dimensions_are_compared_with_the_models_first_ones(tmp_path: Path) -> None:
    smaller = Smaller(dim=16)
    with pytest.warns(yuyi.errors.YuyiWarning, match="--dim 16"):
        source, form = written(tmp_path / "o", "bert-zh", smaller)
    (one,) = measured(tmp_path / "o", source, [form], replace(SETTINGS, smaller=smaller)).forms
    assert one.dim == 16
    assert one.mean == pytest.approx(1, abs=1e-6)
    assert one.overlap is not None and one.overlap < 1


def test_a_model_with_fewer_layers_is_measured_first(tmp_path: Path) -> None:
    smaller = Smaller(layers=1)
    source, form = written(tmp_path / "o", "bert-zh", smaller)
    left, one = measured(tmp_path / "o", source, [form], replace(SETTINGS, smaller=smaller)).forms
    assert (left.target, left.least, one.target) == ("smaller", None, "onnx")
    assert left.mean is not None and left.mean < 0.99
    assert one.mean == pytest.approx(1, abs=1e-6)
    assert one.overlap == left.overlap != 1
    assert one.passes and left.passes


def test_vectors_in_a_space_of_their_own_have_no_cosine(tmp_path: Path) -> None:
    source = open_source(TINY / "static", Smaller())
    form = replace(write_static_form(tmp_path, source, SETTINGS), least=None)
    parity = measured(tmp_path, source, [form])
    assert parity.reference.target == "static int8"
    assert parity.reference.bytes > 0
    assert (parity.forms[0].mean, parity.forms[0].worst, parity.forms[0].overlap) == (None, (), 1.0)
    assert parity.forms[0].passes


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be opened in a process of its own .*no such folder"):
        cold_start(tmp_path / "gone", {}, 1)
