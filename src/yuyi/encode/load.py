"""A name or a folder to an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.encode.encoder import Encoder
from yuyi.encode.static_folder import read_sentence_transformers, read_static
from yuyi.errors import InputError
from yuyi.layout import find_layout

if TYPE_CHECKING:
    import os

EMBEDDED = Path(__file__).parent.parent / "embedded" / "static-zh-en"

_READERS = {
    "yuyi-static": read_static,
    "sentence-transformers-static": read_sentence_transformers,
}


def load(name_or_folder: str | os.PathLike[str] | None = None, *, truncate_dim: int | None = None) -> Encoder:
    """An encoder for a model folder; without an argument, for the model inside the package.

    Nothing is downloaded.

    Args:
        name_or_folder: path of a yuyi folder or of a sentence-transformers StaticEmbedding folder.
        truncate_dim: keep only this many leading dimensions (Matryoshka); vectors are normalised after the
            cut.

    Raises:
        ModelError: the folder is missing, damaged or of an unknown kind.
        InputError: `truncate_dim` is not between 1 and the model's dimension.

    Examples:
        >>> import yuyi
        >>> yuyi.load().dims
        (256, 128, 64)
        >>> yuyi.load(truncate_dim=64).encode("语义").shape
        (64,)
    """
    folder = EMBEDDED if name_or_folder is None else Path(name_or_folder)
    model = _READERS[find_layout(folder).name](folder)
    if truncate_dim is not None and truncate_dim != model.backend.dim:
        if not 1 <= truncate_dim <= model.backend.dim:
            raise InputError(
                f"truncate_dim={truncate_dim}: {model.card.name} has {model.backend.dim} dimensions. "
                f"Choose one of {', '.join(map(str, model.card.dims))}."
            )
        model = model.cut(truncate_dim)
    return Encoder(model, folder)
