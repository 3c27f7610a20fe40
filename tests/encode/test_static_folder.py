from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import yuyi
from yuyi.artifacts import hash_json
from yuyi.encode.static_folder import quantize, read_static, save_sentence_transformers, save_static
from yuyi.errors import InputError, ModelError, YuyiWarning

TINY = Path(__file__).parent.parent / "tiny" / "static"
FILES = {file.name: file.read_bytes() for file in TINY.iterdir()}
TEXTS = ["胡子长得太快怎么办？", "How do I renew my passport?", "", "zzz 龘", "a\x1eb", "向量" * 300]


@given(
    arrays(
        np.float32, st.tuples(st.integers(1, 6), st.integers(1, 9)), elements=st.floats(-1e6, 1e6, width=32)
    )
)
def test_int8_is_off_by_half_a_scale_at_most(table: np.ndarray) -> None:
    rows, scales = quantize(table)
    assert (rows.dtype, rows.shape, scales.dtype, scales.shape) == (
        np.int8, table.shape, np.float32, table.shape[:1],
    )  # fmt: skip
    assert (scales > 0).all()
    error = np.abs(rows * scales[:, None].astype(np.float64) - table).max(axis=1)
    assert (error <= scales / 2 * (1 + 1e-5)).all()
    peaks = np.abs(table).max(axis=1)
    # No precision is given away: a row's scale is its largest value over 127.
    np.testing.assert_allclose(scales[peaks > 1e-29], peaks[peaks > 1e-29] / 127, rtol=1e-6)


def test_saved_and_read_again(tmp_path: Path) -> None:
    model = read_static(TINY)
    save_static(tmp_path / "again", model.card, model.tokenizer, model.backend.table())
    again = read_static(tmp_path / "again")
    assert again.card == model.card
    assert again.digest == model.digest == yuyi.load(TINY).fingerprint
    np.testing.assert_array_equal(again.backend.table(), model.backend.table())
    assert {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()} == FILES


def test_an_existing_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(TINY, folder)
    (folder / "stray").touch()
    model = read_static(TINY)
    save_static(folder, model.card, model.tokenizer, -model.backend.table())
    assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    np.testing.assert_allclose(yuyi.load(folder).encode(TEXTS), -yuyi.load(TINY).encode(TEXTS), atol=1e-6)


@given(data=st.data(), name=st.sampled_from(sorted(FILES)), change=st.integers(1, 255))
def test_one_changed_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str, change: int
) -> None:
    place = data.draw(st.integers(0, len(FILES[name]) - 1))
    folder = tmp_path_factory.mktemp("flipped")
    for other, content in FILES.items():
        (folder / other).write_bytes(content)
    content = bytearray(FILES[name])
    content[place] ^= change
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged|Upgrade"):
        yuyi.load(folder)


def test_white_space_changed_in_the_description_is_found(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "model")
    about = tmp_path / "model" / "yuyi.json"
    about.write_bytes(FILES["yuyi.json"].replace(b"\n  ", b"\n \t", 1))
    with pytest.raises(ModelError, match=r"yuyi\.json: damaged or edited"):
        yuyi.load(tmp_path / "model")


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_cut_off_file_is_found(tmp_path: Path, name: str, kept: float) -> None:
    shutil.copytree(TINY, tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(FILES[name][: int(kept * len(FILES[name]))])
    with pytest.raises(ModelError, match="damaged"):
        yuyi.load(tmp_path / "model")


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        yuyi.load(tmp_path / "absent")
    with pytest.raises(ModelError, match="a file"):
        yuyi.load(TINY / "yuyi.json")
    with pytest.raises(ModelError, match="not a model folder"):
        yuyi.load(tmp_path)
    shutil.copytree(TINY, tmp_path / "model")
    (tmp_path / "model" / "table.safetensors").unlink()
    with pytest.raises(ModelError, match=r"not a model folder.*table\.safetensors"):
        yuyi.load(tmp_path / "model")


@pytest.mark.parametrize("change", [{"version": 2}, {"format": "yuyi-graph"}])
def test_a_newer_folder_says_so(tmp_path: Path, change: dict[str, object]) -> None:
    shutil.copytree(TINY, tmp_path / "model")
    about = json.loads(FILES["yuyi.json"]) | change
    del about["digest"]
    about["digest"] = hash_json(about)
    (tmp_path / "model" / "yuyi.json").write_text(json.dumps(about), "utf-8")
    with pytest.raises(ModelError, match="Upgrade yuyi"):
        yuyi.load(tmp_path / "model")


@pytest.mark.parametrize(
    "content", [b"[]", b"3", b'"text"', b"null", b"{}", b"\xff\xfe", b'{"a": "\\ud800"}']
)
def test_a_description_of_another_shape_is_found(tmp_path: Path, content: bytes) -> None:
    shutil.copytree(TINY, tmp_path / "model")
    (tmp_path / "model" / "yuyi.json").write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as a model description"):
        yuyi.load(tmp_path / "model")


def test_sentence_transformers_gives_equal_vectors(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    save_sentence_transformers(tmp_path / "st", read_static(TINY))
    expected = yuyi.load(TINY).encode(TEXTS)
    theirs = SentenceTransformer(str(tmp_path / "st"), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(theirs, expected, rtol=0, atol=1e-6)
    assert expected[0].any()
    ours = yuyi.load(tmp_path / "st")
    np.testing.assert_allclose(ours.encode(TEXTS), expected, rtol=0, atol=1e-6)
    assert (ours.name, ours.dim, ours.dims) == ("st", 32, (32,))
    with pytest.warns(YuyiWarning, match="st declares no dimension below 32"):
        assert yuyi.load(tmp_path / "st", truncate_dim=8).encode(TEXTS).shape == (len(TEXTS), 8)


def test_a_table_that_newer_sentence_transformers_saved(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    model = read_static(TINY)
    module = StaticEmbedding(model.tokenizer, embedding_weights=model.backend.table())
    SentenceTransformer(modules=[module], device="cpu").save(str(tmp_path / "st"), create_model_card=False)
    assert not (tmp_path / "st" / "0_StaticEmbedding").exists()
    ours = yuyi.load(tmp_path / "st")
    np.testing.assert_allclose(ours.encode(TEXTS), yuyi.load(TINY).encode(TEXTS), rtol=0, atol=1e-6)


def test_prompts_of_a_table_are_those_of_sentence_transformers(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    save_sentence_transformers(tmp_path / "st", read_static(TINY))
    plain = yuyi.load(tmp_path / "st")
    about = {"prompts": {"query": "胡子 ", "sts": "passport "}, "default_prompt_name": "sts"}
    (tmp_path / "st" / "config_sentence_transformers.json").write_text(json.dumps(about))
    ours, theirs = yuyi.load(tmp_path / "st"), SentenceTransformer(str(tmp_path / "st"), device="cpu")
    for method in ("encode", "encode_query", "encode_document"):
        found, expected = getattr(ours, method)(TEXTS), getattr(theirs, method)(TEXTS)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6, err_msg=method)
    assert np.abs(ours.encode(TEXTS) - plain.encode(TEXTS)).max() > 0.1
    assert ours.fingerprint != plain.fingerprint


@pytest.mark.parametrize("kind", ["Dense", "WordWeights"])
def test_a_module_that_yuyi_cannot_follow_a_table_with(tmp_path: Path, kind: str) -> None:
    save_sentence_transformers(tmp_path, read_static(TINY))
    modules = json.loads((tmp_path / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_More", "type": f"sentence_transformers.models.{kind}"})
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match=rf"modules\.json: {kind} beside a StaticEmbedding"):
        yuyi.load(tmp_path)


def test_number_types_of_a_table(tmp_path: Path) -> None:
    import safetensors.torch
    import torch

    model = read_static(TINY)
    save_sentence_transformers(tmp_path, model)
    weights = tmp_path / "0_StaticEmbedding" / "model.safetensors"
    table = torch.from_numpy(model.backend.table())
    # Tensors that are not the table may be of any type.
    safetensors.torch.save_file({"embedding.weight": table.half(), "other": table.bfloat16()}, weights)
    np.testing.assert_allclose(yuyi.load(tmp_path).encode(TEXTS), yuyi.load(TINY).encode(TEXTS), atol=1e-3)
    safetensors.torch.save_file({"embedding.weight": table.bfloat16()}, weights)
    with pytest.raises(ModelError, match=r"embedding\.weight is of type BF16; .* Save it as float32"):
        yuyi.load(tmp_path)


@pytest.mark.parametrize(
    "options", [{"backend": "torch"}, {"backend": "onnx"}, {"dtype": "bfloat16"}, {"device": "cuda"}]
)
def test_a_token_table_has_but_one_way(options: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"is a token table.*Leave it out"):
        yuyi.load(TINY, **options)
    assert yuyi.load(TINY, backend="static", device="cpu").backend_name == "static"


def test_damaged_sentence_transformers_folders(tmp_path: Path) -> None:
    save_sentence_transformers(tmp_path, read_static(TINY))
    inner = tmp_path / "0_StaticEmbedding"
    before = yuyi.load(tmp_path).fingerprint
    weights = (inner / "model.safetensors").read_bytes()
    table = safetensors.numpy.load(weights)["embedding.weight"]
    safetensors.numpy.save_file({"embedding.weight": table[:-1]}, inner / "model.safetensors")
    with pytest.raises(ModelError, match="knows 229 pieces, its table has 228 rows"):
        yuyi.load(tmp_path)
    safetensors.numpy.save_file({"embedding.weight": table * 2}, inner / "model.safetensors")
    assert yuyi.load(tmp_path).fingerprint != before
    safetensors.numpy.save_file({"other": table}, inner / "model.safetensors")
    with pytest.raises(ModelError, match="no embedding table"):
        yuyi.load(tmp_path)
    (inner / "model.safetensors").write_bytes(weights[:-5])
    with pytest.raises(ModelError, match="no embedding table"):
        yuyi.load(tmp_path)
    (inner / "model.safetensors").write_bytes(weights)
    (inner / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json: missing or damaged"):
        yuyi.load(tmp_path)
    (inner / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json: missing or damaged"):
        yuyi.load(tmp_path)


def test_the_fingerprint_is_that_of_table_and_tokenizer() -> None:
    files = {
        name: hashlib.sha256(FILES[name]).hexdigest() for name in ("tokenizer.json", "table.safetensors")
    }
    assert yuyi.load(TINY).fingerprint == hash_json(files)
