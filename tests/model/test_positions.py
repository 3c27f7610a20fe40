"""The positions of transformers, over texts laid end to end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.roberta.modeling_roberta import RobertaEmbeddings

from yuyi.model.config import read_config
from yuyi.model.positions import positions_of

from .oracles import TINY

ROWS = st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=1, max_size=5)


def _flat(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array([token for row in rows for token in row], np.int32)
    return ids, np.cumsum([0, *map(len, rows)])


@given(rows=ROWS, pad=st.integers(0, 3))
def test_padding_tokens_in_a_text_of_roberta(rows: list[list[int]], pad: int) -> None:
    config = replace(read_config(TINY / "roberta"), pad_id=pad, position_offset=pad + 1)
    theirs = RobertaEmbeddings.create_position_ids_from_input_ids
    wanted = [place for row in rows for place in theirs(torch.tensor([row]).long(), pad)[0].tolist()]
    assert positions_of(*_flat(rows), config).tolist() == wanted


@given(rows=ROWS)
def test_elsewhere_every_token_counts(rows: list[list[int]]) -> None:
    for name in ("bert-zh", "modernbert"):
        got = positions_of(*_flat(rows), read_config(TINY / name))
        assert got.tolist() == [place for row in rows for place in range(len(row))]
