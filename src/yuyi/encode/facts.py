"""What the encoder needs to know of a model beside its engine and its tokenizer."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from yuyi.artifacts import hash_json
from yuyi.errors import InputError, YuyiWarning
from yuyi.text.prompts import Prompts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Facts:
    """A model as it describes itself.

    Attributes:
        name: its name.
        folder: where it was read from.
        dims: the length of its vectors, then the smaller ones that it declares (Matryoshka), largest first.
        digest: gives the hex digest of everything that decides its vectors; asked only when
            needed, since it may read gigabytes.
        max_tokens: the longest text it takes, special tokens included; None for any.
        pooling: how the vectors of tokens become one.
        special_tokens: whether the tokenizer's special tokens stand around each text.
        prompts: its prompts.
        include_prompt: whether the tokens of a prompt take part in pooling.
        languages: codes of its languages, as far as known.
        license: SPDX identifier, or the empty string.
    """

    name: str
    folder: Path
    dims: tuple[int, ...]
    digest: Callable[[], str]
    max_tokens: int | None = None
    pooling: str = "mean"
    special_tokens: bool = False
    prompts: Prompts = field(default_factory=Prompts)
    include_prompt: bool = True
    languages: tuple[str, ...] = ()
    license: str = ""

    def cut(self, dim: int) -> Facts:
        """The same model with vectors of their first `dim` values."""
        dims = (dim, *(smaller for smaller in self.dims if smaller < dim))
        return replace(self, dims=dims, digest=lambda: hash_json([self.digest(), dim]))

    def limit(self, tokens: int) -> Facts:
        """The same model, texts read up to `tokens` tokens, special ones included.

        Raises:
            InputError: `tokens` is not between 1 and what the model reads.
        """
        most = self.max_tokens
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
            raise InputError(f"max_tokens={tokens!r}: not a length. Give a whole number from 1 on.")
        if most is not None and tokens > most:
            raise InputError(
                f"max_tokens={tokens}: {self.name} reads {most} tokens. Choose at most {most}, or leave it "
                "out."
            )
        if tokens == most:
            return self
        return replace(
            self, max_tokens=tokens, digest=lambda: hash_json([self.digest(), "max_tokens", tokens])
        )

    def check_dim(self, dim: int) -> None:
        """Return when vectors can be cut to `dim`; warn where the model does not declare that dimension.

        Raises:
            InputError: `dim` is not between 1 and the length of the vectors.
        """
        declared = ", ".join(map(str, self.dims))
        if not isinstance(dim, int) or isinstance(dim, bool) or not 1 <= dim <= self.dims[0]:
            raise InputError(
                f"truncate_dim={dim!r}: {self.name} has {self.dims[0]} dimensions. Choose one of {declared}."
            )
        if dim in self.dims:
            return
        if len(self.dims) > 1:
            reason = f"{self.name} does not declare this dimension, but {declared}."
        else:
            reason = (
                f"{self.name} declares no dimension below {declared}, so it was not trained for this one; "
                "expect worse vectors."
            )
        warnings.warn(f"truncate_dim={dim}: {reason}", YuyiWarning, stacklevel=3)
