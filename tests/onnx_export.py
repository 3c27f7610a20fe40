"""ONNX files as exporters write them, from models of transformers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class States(nn.Module):
    """Token states, as an exporter makes them an output."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        feeds = {name: value.long() for name, value in zip(self.names, inputs, strict=True)}
        states: torch.Tensor = self.model(**feeds).last_hidden_state
        return states


class Pooled(States):
    """One vector a text, the mean over the mask."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        mask = inputs[self.names.index("attention_mask")].float()[:, :, None]
        return (super().forward(*inputs) * mask).sum(1) / mask.sum(1)


def export(
    module: States, file: Path, output: str = "last_hidden_state", dtype: torch.dtype = torch.long
) -> None:
    """Write a module as ONNX, with any number of rows and tokens."""
    file.parent.mkdir(exist_ok=True)
    example = torch.ones(2, 5, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The exporter warns of itself and of the traced model.
        torch.onnx.export(
            module.eval(),
            tuple(example for _ in module.names),
            str(file),
            input_names=list(module.names),
            output_names=[output],
            dynamic_axes={name: {0: "rows", 1: "tokens"} for name in (*module.names, "last_hidden_state")},
            dynamo=False,
        )
