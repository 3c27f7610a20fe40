"""What config.json says becomes one description, or an error that names the contradiction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.errors import ModelError
from yuyi.model.config import Rope, read_config

from .oracles import FOLDERS, TINY

if TYPE_CHECKING:
    from pathlib import Path


def _changed(name: str, folder: Path, drop: tuple[str, ...] = (), **values: Any) -> Path:
    config = json.loads((TINY / name / "config.json").read_text()) | values
    config = {key: value for key, value in config.items() if key not in drop}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("name", FOLDERS)
def test_sizes(name: str) -> None:
    config = read_config(TINY / name)
    assert (config.hidden, config.heads, config.head_dim) == (32, 4, 8)
    assert len(config.windows) == config.layers
    assert config.glu == (name in ("modernbert", "gte-new"))


def test_positions_of_roberta_begin_behind_the_padding_row() -> None:
    config = read_config(TINY / "roberta")
    assert (config.max_positions, config.position_offset) == (64, 2)
    assert (read_config(TINY / "bert-zh").max_positions, read_config(TINY / "bert-zh").position_offset) == (
        64,
        0,
    )


def test_both_forms_of_a_modernbert_config(tmp_path: Path) -> None:
    new = read_config(TINY / "modernbert")
    assert new.windows == (None, 8, 8, None)
    assert new.ropes == (Rope(160_000.0), Rope(10_000.0), Rope(10_000.0), Rope(160_000.0))
    old = _changed(
        "modernbert",
        tmp_path,
        drop=("layer_types", "rope_parameters"),
        global_attn_every_n_layers=3,
        global_rope_theta=160_000.0,
        local_rope_theta=10_000.0,
    )
    assert read_config(old) == new


def test_a_local_theta_of_null_means_the_global_one(tmp_path: Path) -> None:
    drop = ("layer_types", "rope_parameters")
    folder = _changed("modernbert", tmp_path, drop=drop, global_rope_theta=5000.0, local_rope_theta=None)
    assert set(read_config(folder).ropes) == {Rope(5000.0)}


def _theirs(folder: Path) -> set[float]:
    from transformers import AutoConfig

    parameters = AutoConfig.from_pretrained(folder).rope_parameters
    return {table["rope_theta"] for table in parameters.values()}


def test_a_theta_left_out_is_the_older_one_or_the_usual_one(tmp_path: Path) -> None:
    bare = {"full_attention": {"rope_type": "default"}}
    folder = _changed("modernbert", tmp_path, rope_parameters=bare)
    assert {rope.theta for rope in read_config(folder).ropes} == _theirs(folder) == {160_000.0, 10_000.0}
    folder = _changed(
        "modernbert", tmp_path, rope_parameters=bare, global_rope_theta=5000.0, local_rope_theta=400.0
    )
    assert {rope.theta for rope in read_config(folder).ropes} == _theirs(folder) == {5000.0, 400.0}


def test_a_window_of_one_token_is_the_token_itself(tmp_path: Path) -> None:
    assert set(read_config(_changed("modernbert", tmp_path, local_attention=1)).windows) == {None, 0}


@pytest.mark.parametrize("name", FOLDERS)
def test_null_is_the_same_as_nothing(name: str, tmp_path: Path) -> None:
    wanted = read_config(TINY / name)
    options = (
        "position_embedding_type",
        "is_decoder",
        "norm_bias",
        "rope_scaling",
        "layer_norm_eps",
        "norm_eps",
    )
    if name == "gte-new":
        options = tuple(option for option in options if option != "rope_scaling")
    assert read_config(_changed(name, tmp_path, **dict.fromkeys(options))) == wanted
    for option in ("pad_token_id", "max_position_embeddings"):
        try:
            absent: Any = read_config(_changed(name, tmp_path, drop=(option,)))
        except ModelError as error:
            absent = str(error)
        try:
            null: Any = read_config(_changed(name, tmp_path, **{option: None}))
        except ModelError as error:
            null = str(error)
        assert null == absent


def test_the_padding_of_roberta_is_1_where_nothing_is_said(tmp_path: Path) -> None:
    for name in ("roberta", "xlm-roberta"):
        assert read_config(_changed(name, tmp_path, drop=("pad_token_id",))) == read_config(TINY / name)


def test_rotary_scaling(tmp_path: Path) -> None:
    assert read_config(TINY / "gte-new").ropes[0] == Rope(160_000.0, 8.0 ** (2 / 8))
    linear = _changed("gte-new", tmp_path, rope_scaling={"type": "linear", "factor": 4.0})
    assert read_config(linear).ropes[0] == Rope(20_000.0, 4.0)
    none = _changed("gte-new", tmp_path, rope_scaling=None)
    assert read_config(none).ropes[0] == Rope(20_000.0)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("bert-zh", {"model_type": "deberta-v2"}, "'deberta-v2' is not one that yuyi runs .*bert, roberta"),
        ("gte-new", {"model_type": "NewModel"}, "code of its own, which is never run"),
        ("bert-zh", {"num_attention_heads": 5}, "hidden_size 32 is no multiple of 5"),
        ("bert-zh", {"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ("bert-zh", {"vocab_size": "many"}, "vocab_size is 'many'"),
        ("bert-zh", {"layer_norm_eps": -1}, "layer_norm_eps is -1"),
        ("bert-zh", {"hidden_act": "mish"}, "hidden_act is 'mish', not one of gelu"),
        ("bert-zh", {"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ("bert-zh", {"is_decoder": True}, "is_decoder is True"),
        ("bert-zh", {"pad_token_id": 30_000}, "pad_token_id 30000 lies outside"),
        ("roberta", {"max_position_embeddings": 2}, "no room for a token"),
        ("modernbert", {"layer_types": ["full_attention"]}, "layer_types must name"),
        ("modernbert", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling is .*'linear'"),
        ("modernbert", {"rope_parameters": {"rope_theta": 1e4}}, "rope_parameters has rope_theta, and"),
        ("modernbert", {"mlp_bias": "no"}, "mlp_bias is 'no', neither true nor false"),
        ("roberta", {"pad_token_id": -1}, "pad_token_id is -1"),
        ("gte-new", {"rope_scaling": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
        ("modernbert", {"num_attention_heads": 32}, "1 dimensions cannot be rotated"),
        ("gte-new", {"rope_scaling": {"type": "yarn", "factor": 2.0}}, "rotary scaling 'yarn'"),
        ("gte-new", {"layer_norm_type": "rms_norm"}, "layer_norm_type is 'rms_norm'"),
        ("gte-new", {"logn_attention_scale": True}, "logn_attention_scale is True"),
    ],
)
def test_refused(name: str, values: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        read_config(_changed(name, tmp_path, **values))


JSON_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**31), 10**31)
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.sampled_from(("full_attention", "type", "factor", "rope_theta")), st.integers())
)


@given(data=st.data())
@settings(max_examples=200)
def test_no_value_brings_a_traceback(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    name = data.draw(st.sampled_from(FOLDERS))
    keys = sorted(json.loads((TINY / name / "config.json").read_text()))
    folder = tmp_path_factory.mktemp("model")
    _changed(name, folder, **{data.draw(st.sampled_from(keys)): data.draw(JSON_VALUES)})
    try:
        assert read_config(folder).hidden > 0
    except ModelError as error:
        assert str(folder) in str(error)


def test_no_config_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json: cannot be read"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not JSON"):
        read_config(tmp_path)
