"""mteb's model protocol: the only place that knows it.

mteb asks a model to `encode` a loader of text batches and to compare the vectors it got. A text comes as a
query, as a document, or, in tasks whose texts are all alike, as neither.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.evaluate.vectors import VectorMemory


# Two texts made of the same words have a cosine of 1 give or take the last bit, and that bit depends on the
# machine. Rounded, such pairs tie; unrounded, LCQMC moved by a point for a model with many of them.
_DECIMALS = 6


class MtebModel:
    """An encoder cut to its first `dim` values, as mteb 2 wants to see it.

    Args:
        memory: where the full vectors come from.
        dim: how many values of each vector to keep.
    """

    def __init__(self, memory: VectorMemory, dim: int) -> None:
        self._memory = memory
        self._dim = dim
        self.mteb_model_meta = _meta(memory, dim)

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **settings: Any,
    ) -> NDArray[np.float64]:
        """(rows, dim) float64, of unit length unless the setting says otherwise; zero where zero was given.

        The prompt is chosen as mteb does for sentence-transformers: one that the model has for the task or
        its type goes before that of the text's role.

        Double precision keeps the classifier that mteb fits on the vectors from depending on the order in
        which a machine adds them up.
        """
        from mteb.models.abs_encoder import get_prompt_name

        reader = self._memory.reader
        named = get_prompt_name(dict(reader.prompts or {}), task_metadata, prompt_type)
        role = named or getattr(prompt_type, "value", prompt_type) or ""
        vectors = self._memory.take(_texts(inputs), role)[:, : self._dim].astype(np.float64)
        if not reader.normalize:
            return vectors
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(norms > 0, norms, 1)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """(n, m) cosine of every vector with every other, by mteb's own function, to six decimals."""
        return _by_mteb("cos_sim", embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """(n,) cosine of each vector with its partner, by mteb's own function, to six decimals."""
        return _by_mteb("pairwise_cos_sim", embeddings1, embeddings2)


def write_at_once(task: Any) -> None:
    """Let one of mteb's tasks write its predictions in one go.

    mteb encodes them number by number and reads all of them again for each part, which takes longer than the
    rest of a retrieval task.
    """
    found: dict[str, dict[str, Any]] = {}

    def write(predictions: Any, model: Any, prediction_folder: Path, hf_split: str, hf_subset: str) -> None:
        found.setdefault(hf_subset, {})[hf_split] = predictions
        (prediction_folder / task.prediction_file_name).write_text(json.dumps(found), "utf-8")

    task._save_task_predictions = write


def _meta(memory: VectorMemory, dim: int) -> Any:
    """What mteb wants to know of a model; it asks for an owner in the name."""
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    judged = memory.reader.judged
    name = judged.name if "/" in judged.name else f"yuyi/{judged.name}"
    return ModelMeta.create_empty(
        {
            "name": name,
            "revision": judged.fingerprint,
            "embed_dim": dim,
            "max_tokens": memory.reader.setting(dim).max_length,
            "similarity_fn_name": ScoringFunction.COSINE,
        }
    )


def _texts(inputs: Any) -> list[str]:
    """The texts of mteb's loader, in their order."""
    data: Any = getattr(inputs, "dataset", None)
    if hasattr(data, "select_columns"):  # Batches of a `datasets.Dataset` are decoded and joined row by row.
        return list(data.select_columns("text")[:]["text"])
    return [text for batch in inputs for text in batch["text"]]


def _by_mteb(function: str, first: Any, second: Any) -> Any:
    """Rounded tensor from one of mteb's functions; given arrays, not tensors, it would cut them to single."""
    import torch
    from mteb import similarity_functions

    scores = getattr(similarity_functions, function)(torch.as_tensor(first), torch.as_tensor(second))
    return scores.round(decimals=_DECIMALS)
