"""On a GPU: the same answers as on the CPU in float32, as near as half precision comes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import yuyi
from yuyi.model.attention import attention, find_spans

from .oracles import FOLDERS, TEXTS, TINY

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch sees")

LENGTHS = [1, 1, 5, 64, 64, 0, 200]


# Heads of 12 and of 264 dimensions are none of flash attention's; neither is float32.
@pytest.mark.parametrize("head_dim", [8, 12, 64, 256, 264])
@pytest.mark.parametrize("window", [None, 0, 1, 16, 300])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_attention(dtype: torch.dtype, window: int | None, head_dim: int) -> None:
    generator = torch.Generator().manual_seed(4)
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    # Rounded first, so that only the computation differs.
    q, k, v = torch.randn(3, sum(LENGTHS), 2, head_dim, generator=generator).to(dtype)
    wanted = attention(q.float(), k.float(), v.float(), find_spans(offsets), window=window)
    with warnings.catch_warnings():
        # A torch whose flash attention has no windows says that it goes the slower way.
        warnings.filterwarnings("ignore", message=".*no variable-length attention")
        got = attention(q.cuda(), k.cuda(), v.cuda(), find_spans(offsets.cuda()), window=window)
    assert got.dtype == dtype
    tolerance = {torch.float16: 1e-2, torch.bfloat16: 4e-2, torch.float32: 1e-3}[dtype]
    assert (got.float().cpu() - wanted).abs().max() <= tolerance


@pytest.mark.filterwarnings("ignore:.*no variable-length attention", "ignore:.*texts were cut")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
@pytest.mark.parametrize("name", FOLDERS)
def test_vectors(name: str, dtype: str) -> None:
    wanted = yuyi.load(TINY / name, backend="torch", device="cpu", dtype="float32").encode(list(TEXTS))
    encoder = yuyi.load(TINY / name, device="cuda", dtype=dtype)
    got = encoder.encode(list(TEXTS))
    assert encoder.device.startswith("cuda")
    assert encoder.dtype == dtype
    assert got.shape == wanted.shape
    cosines = (got * wanted).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosines.min() >= {"float32": 0.99999, "float16": 0.999, "bfloat16": 0.995, "int8": 0.98}[dtype]
