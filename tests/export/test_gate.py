"""What is published, and what is said of what is not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from yuyi.errors import ModelError
from yuyi.export.verifying.gate import check_gate
from yuyi.parity import Measured, Parity

NEAR = Measured(
    "onnx-int8", "yuyi", ("onnx/model_quantized.onnx",), 1000, 32, 0.9985, 0.97, 0.95, 70.0, 100.0, 0.5,
    least=0.998, worst=(("胡子长得太快怎么办？", 0.97), ("zero", 0.98)),
)  # fmt: skip


def parity(*forms: Measured) -> Parity:
    return Parity("小模型", "1c0f", replace(NEAR, target="torch float32"), forms, 200, 10_000, 80, {})


def test_what_is_near_enough_passes() -> None:
    own_space = replace(NEAR, mean=None, least=None)
    check_gate(
        parity(
            NEAR, replace(NEAR, mean=0.998), replace(NEAR, mean=0.1, least=None), replace(own_space, sts=35.0)
        )
    )


def test_what_is_not_is_one_line_with_the_worst_texts() -> None:
    far = replace(NEAR, mean=0.99799)
    with pytest.raises(ModelError) as raised:
        check_gate(parity(NEAR, far))
    said = str(raised.value)
    assert said.startswith(
        "小模型 as onnx-int8: mean cosine 0.99799 to the model in float32, and at least 0.998"
    )
    assert "nothing was written. Worst: '胡子长得太快怎么办？' 0.97000; 'zero' 0.98000." in said
    assert "--least" in said
    with pytest.raises(ModelError, match="as onnx-int8 run by chromium: "):
        check_gate(parity(replace(far, runtime="chromium")))


@pytest.mark.parametrize("mean", [math.nan, None])
def test_a_cosine_that_is_no_number_does_not_pass(mean: float | None) -> None:
    for least in (0.998, 0.0):
        with pytest.raises(ModelError, match=r"mean cosine (nan|unknown)"):
            check_gate(parity(replace(NEAR, mean=mean, least=least)))


@pytest.mark.parametrize("sts", [34.9, -2.0, None])
def test_a_space_of_its_own_keeps_half_of_what_pairs_tell(sts: float | None) -> None:
    table = replace(NEAR, target="static", mean=None, least=None, worst=(), sts=sts)
    with pytest.raises(ModelError, match=r"小模型 as static: STS .*half of the model's, 35.00, .*--distil"):
        check_gate(parity(NEAR, table))
