"""What an engine offers the encoder: token ids in, one pooled vector a text out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from yuyi.types import TokenBatch


class Backend(Protocol):
    """An engine with a model in it. `embed` is called from several threads at a time.

    Each module that holds one for transformer folders has a function
    `open_backend(pipeline: Pipeline, *, device: str | None, dtype: str) -> Backend`.
    """

    @property
    def name(self) -> str:
        """`static`, `torch` or `onnx`."""
        ...

    @property
    def dim(self) -> int:
        """Length of the vectors that `embed` gives."""
        ...

    @property
    def dtype(self) -> str:
        """What it computes in: `float32`, `bfloat16`, `float16` or `int8`; never `auto`."""
        ...

    @property
    def arithmetic(self) -> str:
        """What of its computing shows in the vectors: the dtype, and for int8 the way it scales.

        Engines in float32 share the word; `int8`, `int8 in torch` and `int8 of the file` are told apart.
        """
        ...

    @property
    def device(self) -> str:
        """Where it computes, as torch names it: `cpu`, `cuda:0`."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """The files its weights were read from, which the fingerprint hashes."""
        ...

    @property
    def threads(self) -> int:
        """How many blocks of texts the encoder should run side by side."""
        ...

    @property
    def block_texts(self) -> int:
        """The most texts in a block; sorting by length happens within a block."""
        ...

    @property
    def block_characters(self) -> int:
        """The most characters in a block of more than one text."""
        ...

    @property
    def token_budget(self) -> int | None:
        """The most tokens it should be given in one call; None where it takes a whole block."""
        ...

    def embed(self, batch: TokenBatch, *, cores: int, prompt_tokens: int = 0) -> NDArray[np.float32]:
        """(rows, dim) float32, pooled and with the folder's heads applied.

        Args:
            batch: the texts' ids, special tokens included.
            cores: how many cores the call may keep busy.
            prompt_tokens: how many leading tokens of each text pooling leaves out.
        """
        ...
