"""What model folders say of themselves, in the forms that several years of tools have written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.errors import ModelError
from yuyi.known import find
from yuyi.pipeline import Dense, Normalize, read_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = Path(__file__).parent / "tiny"


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: shutil.copytree(TINY / name, tmp_path / name)


def _change(path: Path, drop: tuple[str, ...] = (), **values: Any) -> None:
    old = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({key: value for key, value in {**old, **values}.items() if key not in drop}))


def test_a_folder_that_sentence_transformers_saved() -> None:
    pipeline = read_pipeline(TINY / "bert-zh")
    assert pipeline.transformer == TINY / "bert-zh"
    assert pipeline.pooling == ("cls",)
    assert pipeline.heads == (Normalize(),)
    assert pipeline.max_tokens == 48
    assert pipeline.prompts == {"query": "为这个句子生成表示：", "document": ""}
    assert pipeline.default_prompt is None
    assert pipeline.name == "bert-zh"
    assert pipeline.include_prompt
    assert not pipeline.lower_case


def test_a_folder_of_older_files() -> None:
    pipeline = read_pipeline(TINY / "bert-dense")
    folder = TINY / "bert-dense" / "2_Dense"
    assert pipeline.pooling == ("mean",)
    assert pipeline.heads == (Dense(folder, 32, 56, True, "identity"),)
    assert pipeline.max_tokens == 64
    assert pipeline.prompts == {}


def test_the_longest_text(copy: Callable[[str], Path]) -> None:
    assert read_pipeline(TINY / "roberta").max_tokens == 64
    assert read_pipeline(TINY / "xlm-roberta").max_tokens == 64
    assert read_pipeline(TINY / "bert-plain", pooling="cls").max_tokens == 64
    folder = copy("roberta")
    # More than the positions hold: two rows of RoBERTa's table serve no token.
    _change(folder / "sentence_bert_config.json", max_seq_length=66)
    assert read_pipeline(folder).max_tokens == 64
    (folder / "sentence_bert_config.json").rename(folder / "sentence_roberta_config.json")
    _change(folder / "sentence_roberta_config.json", max_seq_length=20, do_lower_case=True)
    assert read_pipeline(folder).max_tokens == 20
    assert read_pipeline(folder).lower_case
    # A null is the same as nothing, and nothing means row 1 for padding.
    _change(folder / "sentence_roberta_config.json", max_seq_length=None)
    _change(folder / "config.json", pad_token_id=None)
    assert read_pipeline(folder).max_tokens == 64
    _change(folder / "sentence_roberta_config.json", max_seq_length=0)
    with pytest.raises(ModelError, match=r"no usable limit.*found 0"):
        read_pipeline(folder)


def test_a_transformer_in_a_folder_of_its_own(copy: Callable[[str], Path]) -> None:
    folder = copy("bert-dense")
    inner = folder / "0_Transformer"
    inner.mkdir()
    for name in ("config.json", "pytorch_model.bin", "tokenizer.json", "sentence_bert_config.json"):
        (folder / name).rename(inner / name)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert read_pipeline(folder).transformer == inner
    assert read_pipeline(folder).max_tokens == 64


def test_pooling_in_both_forms_and_several(copy: Callable[[str], Path]) -> None:
    path = copy("bert-dense") / "1_Pooling" / "config.json"
    _change(path, pooling_mode_cls_token=True, pooling_mode_max_tokens=True)
    assert read_pipeline(path.parent.parent).pooling == ("cls", "max", "mean")
    path.write_text(json.dumps({"pooling_mode": "mean_sqrt_len_tokens", "include_prompt": False}))
    assert read_pipeline(path.parent.parent).pooling == ("mean_sqrt_len",)
    assert not read_pipeline(path.parent.parent).include_prompt
    path.write_text(json.dumps({"pooling_mode": ["lasttoken", "mean"]}))
    assert read_pipeline(path.parent.parent).pooling == ("last", "mean")
    assert read_pipeline(path.parent.parent, pooling="max").pooling == ("max",)
    path.write_text(json.dumps({"pooling_mode": "weightedmean"}))
    with pytest.raises(ModelError, match=r"pooling 'weightedmean'; yuyi has cls, mean"):
        read_pipeline(path.parent.parent)
    path.write_text("{}")
    with pytest.raises(ModelError, match="pooling is not given"):
        read_pipeline(path.parent.parent)


def test_a_chosen_pooling_helps_a_folder_whose_own_is_unknown(copy: Callable[[str], Path]) -> None:
    path = copy("bert-dense") / "1_Pooling" / "config.json"
    path.write_text(json.dumps({"pooling_mode_weightedmean_tokens": True, "include_prompt": False}))
    with pytest.raises(ModelError, match=r"'weightedmean'; .* Choose one of them with pooling="):
        read_pipeline(path.parent.parent)
    pipeline = read_pipeline(path.parent.parent, pooling="mean")
    assert pipeline.pooling == ("mean",)
    assert not pipeline.include_prompt
    with pytest.raises(ModelError, match="pooling='weightedmean': no such pooling"):
        read_pipeline(path.parent.parent, pooling="weightedmean")


def test_a_plain_folder_asks_for_its_pooling() -> None:
    with pytest.raises(ModelError, match=r"does not say .* cls, mean, last, max, mean_sqrt_len"):
        read_pipeline(TINY / "bert-plain")
    with pytest.raises(ModelError, match=r"pooling='average': no such pooling. Choose one of cls"):
        read_pipeline(TINY / "bert-plain", pooling="average")
    assert read_pipeline(TINY / "bert-plain", pooling="last").pooling == ("last",)


def test_what_is_known_of_a_model_fills_what_its_folder_leaves_unsaid(tmp_path: Path) -> None:
    known = find("gte-small-zh")
    assert known is not None
    for name in ("gte-small-zh", "models--thenlper--gte-small-zh/snapshots/0a1b2c"):
        folder = shutil.copytree(TINY / "bert-plain", tmp_path / name)
        _change(folder / "config.json", num_hidden_layers=known.layers)
        pipeline = read_pipeline(folder)
        assert pipeline.pooling == ("cls",)
        assert (pipeline.name, pipeline.dims, pipeline.languages) == (
            "gte-small-zh",
            known.dims,
            known.languages,
        )
    # A folder of another shape is another model, whatever it is called.
    _change(folder / "config.json", num_hidden_layers=2)
    with pytest.raises(ModelError, match="does not say"):
        read_pipeline(folder)


def test_matryoshka_dimensions_that_a_folder_declares(copy: Callable[[str], Path]) -> None:
    folder = copy("bert-zh")
    assert read_pipeline(folder).dims == ()
    _change(folder / "config.json", matryoshka_dimensions=[8, 32, 16])
    assert read_pipeline(folder).dims == (32, 16, 8)
    known = find("gte-small-zh")
    assert read_pipeline(folder, known=replace(known, architecture=None, layers=None)).dims == (32, 16, 8)
    for wrong in ([8, True], [0], ["8"], 8, {}):
        _change(folder / "config.json", matryoshka_dimensions=wrong)
        with pytest.raises(ModelError, match=r"matryoshka_dimensions is .* not a list of dimensions"):
            read_pipeline(folder)


def test_only_a_plain_folder_takes_the_prompts_of_a_known_model() -> None:
    known = find("gte-small-zh")
    assert known is not None
    known = replace(known, architecture="bert", layers=2, prompts={"query": "q: "})
    assert read_pipeline(TINY / "bert-plain", known=known).prompts == {"query": "q: "}
    # What sentence-transformers saved says of its prompts is all there is, be it nothing.
    assert read_pipeline(TINY / "bert-dense", known=known).prompts == {}
    assert read_pipeline(TINY / "bert-zh", known=known).prompts["query"] == "为这个句子生成表示："


def test_a_prompt_of_null_is_none(copy: Callable[[str], Path]) -> None:
    folder = copy("bert-zh")
    path = folder / "config_sentence_transformers.json"
    _change(path, prompts={"query": None, "document": ""}, default_prompt_name="query")
    assert (read_pipeline(folder).prompts, read_pipeline(folder).default_prompt) == ({"document": ""}, None)
    _change(path, default_prompt_name="document")
    assert read_pipeline(folder).default_prompt == "document"


def test_what_is_not_known_of_a_models_shape_contradicts_no_folder() -> None:
    known = find("gte-small-zh")
    assert known is not None
    for architecture, layers, same in (
        ("bert", None, True),
        (None, 2, True),
        (None, 3, False),
        ("roberta", None, False),
    ):
        pipeline = read_pipeline(
            TINY / "bert-zh", known=replace(known, architecture=architecture, layers=layers)
        )
        assert (pipeline.name == "gte-small-zh") is same


def test_modules_that_cannot_be_run(copy: Callable[[str], Path]) -> None:
    path = copy("bert-dense") / "modules.json"
    modules = json.loads(path.read_text())
    custom = {**modules[2], "type": "custom_st.WeightedLayerPooling"}
    for changed, message in (
        ([*modules[:2], custom], r"'WeightedLayerPooling' is not one .* never run"),
        ([modules[0]], "the modules are Transformer; yuyi needs"),
        ([modules[0], modules[2]], "the modules are Transformer, Dense; yuyi needs"),
        ([*modules, modules[1]], "the modules are Transformer, Pooling, Dense, Pooling; yuyi needs"),
        ([], "the modules are none"),
        ({"a": 1}, "not a list of modules"),
    ):
        path.write_text(json.dumps(changed))
        with pytest.raises(ModelError, match=message):
            read_pipeline(path.parent)


def test_heads_that_cannot_be_applied(copy: Callable[[str], Path]) -> None:
    path = copy("bert-dense") / "2_Dense" / "config.json"
    original = path.read_text()
    for values, message in (
        ({"activation_function": "my_code.Swish"}, "activation 'Swish' is not one of Identity, Tanh"),
        ({"use_residual": True}, "adds its input"),
        ({"module_input_name": "token_embeddings"}, "reads 'token_embeddings'"),
        ({"in_features": None}, "whole numbers"),
    ):
        path.write_text(original)
        _change(path, **values)
        with pytest.raises(ModelError, match=message):
            read_pipeline(path.parent.parent)
    path.unlink()
    with pytest.raises(ModelError, match=r"2_Dense/config\.json: cannot be read"):
        read_pipeline(path.parent.parent)


def test_files_that_are_missing_or_damaged(copy: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json: cannot be read"):
        read_pipeline(tmp_path / "nowhere")
    folder = copy("bert-zh")
    (folder / "1_Pooling" / "config.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ModelError, match="not JSON"):
        read_pipeline(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="not a JSON object"):
        read_pipeline(folder)


def test_a_folder_of_models_is_no_model(copy: Callable[[str], Path]) -> None:
    copy("bert-zh")
    parent = copy("roberta").parent
    with pytest.raises(ModelError, match=r"holds bert-zh, roberta\. Give the path of one"):
        read_pipeline(parent)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**31), 10**31) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(data=st.data())
@settings(max_examples=200)
def test_no_value_in_any_file_brings_a_traceback(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever a file says, the answer is a pipeline or the one kind of error that a user can mend."""
    name = data.draw(st.sampled_from(("bert-zh", "bert-dense", "roberta")))
    folder = tmp_path_factory.mktemp("model")
    paths = sorted(path.relative_to(TINY / name) for path in (TINY / name).rglob("*config*.json"))
    for path in (*paths, Path("modules.json")):
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copy(TINY / name / path, folder / path)
    path = folder / data.draw(st.sampled_from(paths))
    values = json.loads(path.read_text())
    values[data.draw(st.sampled_from(sorted(values)))] = data.draw(JSON_VALUES)
    path.write_text(json.dumps(values))
    try:
        assert read_pipeline(folder).max_tokens > 0
    except ModelError as error:
        assert str(folder) in str(error)


def test_reading_a_folder_imports_no_torch() -> None:
    code = (
        "import sys, pathlib; from yuyi.pipeline import read_pipeline; "
        f"read_pipeline(pathlib.Path({str(TINY / 'bert-zh')!r})); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
