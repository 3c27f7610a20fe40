"""The model that is exported: opened, and made smaller where that is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.encode.load import find_folder, load
from yuyi.encode.static_folder import STATIC_READERS, StaticModel
from yuyi.errors import ModelError
from yuyi.export.smaller import check_dim, smaller_encoder, smaller_table
from yuyi.layout import TRANSFORMER_LAYOUTS, find_layout, has_torch_weights
from yuyi.pipeline import read_pipeline

if TYPE_CHECKING:
    import os

    from yuyi.encode import Encoder
    from yuyi.export.smaller import Smaller
    from yuyi.pipeline import Pooling
    from yuyi.train.starting.start import TextModel


@dataclass(frozen=True, slots=True)
class Source:
    """A model on its way out.

    Attributes:
        model: what is written: an encoder with its tokenizer, or a token table; smaller than the reference
            where that was asked for.
        reference: the whole model, in float32; every form is compared with it.
    """

    model: TextModel | StaticModel
    reference: Encoder

    @property
    def dim(self) -> int:
        """Length of the vectors that the forms give."""
        model = self.model
        return model.backend.dim if isinstance(model, StaticModel) else model.embedder.dim

    @property
    def pools_prompts(self) -> bool:
        """Whether the tokens of a prompt take part in pooling, as in a graph, which cannot tell them."""
        return isinstance(self.model, StaticModel) or self.model.embedder.pooler.include_prompt

    @property
    def dims(self) -> tuple[int, ...]:
        """That length, then the smaller ones that the model declares."""
        return (self.dim, *(dim for dim in self.reference.dims if dim < self.dim))


def open_source(
    name_or_folder: str | os.PathLike[str] | None, smaller: Smaller, *, pooling: Pooling | None = None
) -> Source:
    """The model of a folder or a name, as `yuyi.load` finds it; without one, the embedded model.

    Args:
        name_or_folder: what is exported.
        smaller: what is cut off it.
        pooling: needed for a plain folder of a model that is not known.

    Raises:
        ModelError: the model is missing, damaged or of a kind that cannot be opened, or has no weights that
            torch reads.
        InputError: something is to be cut off that is not there.
    """
    folder = find_folder(name_or_folder, backend="torch")
    layout = find_layout(folder).name
    if layout in TRANSFORMER_LAYOUTS:
        if not has_torch_weights(read_pipeline(folder, pooling=pooling).transformer):
            raise ModelError(
                f"{folder}: there are no weights in it that torch reads. Export the model it was made of."
            )
        reference = load(folder, backend="torch", device="cpu", dtype="float32", pooling=pooling)
        check_dim(smaller.dim, reference.dims, reference.name)
        return Source(smaller_encoder(folder, smaller, pooling), reference)
    reference = load(folder, pooling=pooling)
    check_dim(smaller.dim, reference.dims, reference.name)
    return Source(smaller_table(STATIC_READERS[layout](folder), smaller), reference)
