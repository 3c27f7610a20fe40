"""A model that is asked for vectors and learns nothing: any folder that yuyi opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional

from yuyi.errors import ModelError
from yuyi.model.embedder import load_embedder
from yuyi.pipeline import read_modules, read_pipeline, read_prompts
from yuyi.text.overflow import Frame, fit
from yuyi.text.plan import plan, select
from yuyi.text.prompts import Prompts
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.text.tokenizer_folder import load_tokenizer, read_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

_TOKENS = 16_384


class Table(nn.Module):
    """A token table as a model: the mean of a text's rows."""

    def __init__(self, rows: Tensor) -> None:
        """Take the rows, (pieces, dim) float32."""
        super().__init__()
        self.register_buffer("rows", rows)
        self.dim = rows.shape[1]

    def forward(self, ids: Tensor, offsets: Tensor, prompt_tokens: int = 0) -> Tensor:
        """(rows, dim) as `yuyi.model.embedder.Embedder` gives them; a prompt is part of its text."""
        rows = self.get_buffer("rows")
        return functional.embedding_bag(ids.long(), rows, offsets[:-1], mode="mean")


@dataclass(frozen=True, slots=True)
class Asked:
    """A model with all that takes it from texts to vectors.

    Attributes:
        model: from ids, offsets and the number of prompt tokens to (texts, dim).
        tokenizer: of the model.
        frame: its special tokens, and the most tokens it takes.
        prompt: stands before every text.
        dim: length of the vectors.
    """

    model: nn.Module
    tokenizer: BatchTokenizer
    frame: Frame
    prompt: str
    dim: int

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, dim) float32 of unit length; texts that are too long are cut, empty ones may be zeros."""
        fitted = fit(self.tokenizer([self.prompt + text for text in texts]), self.frame, "cut")
        prompt_tokens = len(self.frame.prefix) + len(self.tokenizer([self.prompt]).ids) if self.prompt else 0
        device = next((each.device for each in (*self.model.parameters(), *self.model.buffers())), None)
        found = np.zeros((len(texts), self.dim), dtype=np.float32)
        with torch.inference_mode():
            for rows in plan(fitted.batch.lengths, _TOKENS):
                part = select(fitted.batch, rows)
                ids, offsets = (torch.from_numpy(each).to(device) for each in (part.ids, part.offsets))
                vectors = self.model(ids, offsets, prompt_tokens)
                found[rows] = functional.normalize(vectors.float(), dim=1).cpu().numpy()
        return found


def open_asked(folder: Path, *, prompt: str | None = None, device: str = "cpu") -> Asked:
    """The model of a folder: a transformer, or a token table of yuyi or sentence-transformers.

    Args:
        folder: the model folder.
        prompt: name of the prompt before each text; None for the folder's default, if it has one.
        device: where it computes.

    Raises:
        ModelError: the folder cannot be opened, or a file is damaged.
        InputError: the model has no prompt of that name.
    """
    if (folder / "yuyi.json").is_file():
        rows, scales = _tensors(folder / "table.safetensors", "rows", "scales")
        return _table(rows.float() * scales[:, None], folder, folder, prompt, device)
    if (folder / "modules.json").is_file() and read_modules(folder)[0][0] == "StaticEmbedding":
        inner = next(
            (each for each in (folder / "0_StaticEmbedding", folder) if (each / "tokenizer.json").is_file()),
            folder,
        )
        (rows,) = _tensors(inner / "model.safetensors", "embedding.weight")
        return _table(rows.float(), inner, folder, prompt, device)
    pipeline = read_pipeline(folder)
    embedder = load_embedder(pipeline, device=device)
    tokenizer = BatchTokenizer(read_tokenizer(pipeline.transformer, lower_case=pipeline.lower_case))
    chosen = Prompts(pipeline.prompts, pipeline.default_prompt).choose(prompt, None)
    return Asked(embedder, tokenizer, tokenizer.frame(pipeline.max_tokens), chosen, embedder.dim)


def _table(rows: Tensor, inner: Path, folder: Path, prompt: str | None, device: str) -> Asked:
    tokenizer = BatchTokenizer(load_tokenizer(inner / "tokenizer.json"))
    chosen = Prompts(*read_prompts(folder)).choose(prompt, None)
    return Asked(Table(rows).to(device), tokenizer, Frame(), chosen, rows.shape[1])


def _tensors(path: Path, *names: str) -> list[Tensor]:
    try:
        tensors = safetensors.torch.load_file(path)
        return [tensors[name] for name in names]
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path}: damaged, no token table can be read from it. Copy it again.") from error
