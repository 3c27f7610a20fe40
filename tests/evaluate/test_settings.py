"""Settings: what is asked for, and what a model makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import yuyi
from yuyi.errors import InputError, ModelError
from yuyi.evaluate import Sweep, evaluate, local_tasks
from yuyi.evaluate.settings import readers

from .bigrams import BigramEncoder
from .sets import THINGS

TINY = Path(__file__).parent.parent / "tiny"
SHORT = THINGS[:5]


def test_every_type_with_every_length_and_overflow_one_model_at_a_time() -> None:
    sweep = Sweep(
        dtypes=("float32", "bfloat16"), max_lengths=(8, 16), overflows=("cut", "pool"), device="cpu"
    )
    found = list(readers(TINY / "bert-zh", sweep))
    assert sweep.readers == len(found) == 8
    settings = [reader.setting(32) for reader in found]
    assert [(one.dtype, one.max_length, one.overflow) for one in settings] == [
        (dtype, length, overflow)
        for dtype in ("float32", "bfloat16")
        for length in (8, 16)
        for overflow in ("cut", "pool")
    ]
    assert len({id(reader.encoder) for reader in found}) == 4
    assert len({reader.judged.fingerprint for reader in found}) == 4


def test_settings_are_as_settled_and_not_as_asked_for() -> None:
    (reader,) = readers(TINY / "bert-zh", Sweep(dtypes=("float32",), device="cpu"))
    setting = reader.setting(16)
    assert (setting.dim, setting.dtype, setting.max_length) == (16, "float32", 48)
    assert (setting.pooling, setting.backend, setting.device) == ("cls", "torch", "cpu")
    assert setting.prompts == {"query": "为这个句子生成表示：", "document": "", "": ""}
    (usual,) = readers(TINY / "bert-zh", Sweep(device="cpu"))
    assert usual.setting(32).dtype == "float32"  # on every machine, whatever it is fast in
    (static,) = readers(TINY / "static", Sweep())
    assert (static.setting(32).backend, static.setting(32).pooling) == ("static", "mean")
    (other,) = readers(BigramEncoder(), Sweep())
    assert other.setting(64).prompts == {}
    assert (other.setting(64).overflow, other.setting(64).max_length) == ("", None)


def test_texts_are_read_in_their_roles() -> None:
    encoder = yuyi.load(TINY / "xlm-roberta", dtype="float32", device="cpu")
    (reader,) = readers(encoder, Sweep())
    for role, expected in (
        ("query", encoder.encode_query(SHORT)),
        ("document", encoder.encode_document(SHORT)),
        ("", encoder.encode(SHORT)),
    ):
        np.testing.assert_allclose(reader.encode(SHORT, role), expected, atol=1e-6)
    own = {"query": "问：", "document": "答：", "": "文："}
    (reader,) = readers(encoder, Sweep(prompts=own))
    for role, prompt in own.items():
        expected = encoder.encode(SHORT, prompt=prompt)
        np.testing.assert_allclose(reader.encode(SHORT, role), expected, atol=1e-6)


def test_vectors_are_raw_until_they_are_scored() -> None:
    encoder = yuyi.load(TINY / "bert-dense", dtype="float32", device="cpu")
    (reader,) = readers(encoder, Sweep(normalize=False))
    raw = encoder.encode(THINGS, normalize=False)
    np.testing.assert_allclose(reader.encode(THINGS, ""), raw, atol=1e-6)
    assert np.ptp(np.linalg.norm(raw, axis=1)) > 0.1


def test_raw_vectors_change_dot_products_and_not_cosines(folder: Path) -> None:
    encoder = yuyi.load(TINY / "bert-dense", dtype="float32", device="cpu")
    tasks = local_tasks(folder, ["same"])
    (unit,), (raw,) = (evaluate(encoder, tasks, Sweep(normalize=flag)) for flag in (True, False))
    here, there = (one.scores["test"]["default"] for one in (unit, raw))
    assert here["dot_ap"] == pytest.approx(here["cosine_ap"])
    assert there["dot_ap"] != pytest.approx(there["cosine_ap"], abs=1e-4)
    assert here["cosine_ap"] == pytest.approx(there["cosine_ap"], abs=1e-6)
    assert unit.setting.label != raw.setting.label


def test_long_texts_are_cut_or_pooled_as_the_setting_says() -> None:
    text = "".join(THINGS)
    cut, pooled = (
        reader.encode([text], "")
        for reader in readers(TINY / "bert-zh", Sweep(overflows=("cut", "pool"), device="cpu"))
    )
    assert np.abs(cut - pooled).max() > 1e-3
    (reader,) = readers(TINY / "bert-zh", Sweep(overflows=("error",), device="cpu"))
    with pytest.raises(InputError, match="the model takes 48"):
        reader.encode([text], "")


@pytest.mark.parametrize(
    ("model", "sweep", "error", "message"),
    [
        ("bert-zh", {"max_lengths": (49,)}, InputError, "max_tokens=49: bert-zh reads 48 tokens"),
        ("bert-zh", {"pooling": "middle"}, ModelError, "pooling='middle'"),
        ("static", {"dtypes": ("float32",)}, InputError, "static is a token table"),
        ("nowhere", {}, ModelError, "nowhere"),
    ],
)
def test_what_a_folder_cannot_do(model: str, sweep: dict[str, object], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        list(readers(TINY / model, Sweep(**sweep)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"dtypes": ("float32",)}, "dtypes: a model that is open already"),
        ({"device": "cpu", "pooling": "cls"}, "pooling, device: a model that is open already"),
        ({"overflows": ("pool",)}, "overflow: bigrams decides itself"),
        ({"prompts": {"query": "问："}}, "prompts: bigrams puts its own"),
    ],
)
def test_what_an_open_encoder_cannot_do(sweep: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(readers(BigramEncoder(), Sweep(**sweep)))  # type: ignore[arg-type]


def test_settings_that_no_model_has() -> None:
    with pytest.raises(InputError, match="overflow fold: no such choice"):
        Sweep(overflows=("fold",))
    with pytest.raises(InputError, match="overflow: none is given"):
        Sweep(overflows=())
    with pytest.raises(InputError, match="dtype='float8': choose one of auto"):
        Sweep(dtypes=("float32", "float8"))
    with pytest.raises(InputError, match="prompt for 'passage': no such role"):
        Sweep(prompts={"passage": "答："})
