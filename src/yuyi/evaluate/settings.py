"""What a model is asked for, and what it is once it is open: precision, lengths, prompts, dimensions."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from yuyi.encode import Encoder as LoadedEncoder
from yuyi.encode import load
from yuyi.encode.load import Dtype
from yuyi.errors import InputError
from yuyi.evaluate.results import Judged, Setting
from yuyi.text.overflow import OVERFLOWS
from yuyi.text.prompts import DOCUMENT, QUERY

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from yuyi.types import Encoder

ROLES = ("query", "document", "")


@dataclass(frozen=True, slots=True)
class Sweep:
    """The settings to evaluate under: each dtype with each length with each overflow with each dimension.

    Attributes:
        dims: lengths to cut vectors to; empty for their full length.
        dtypes: what to compute in, as `yuyi.load` takes it; empty for float32, so that scores do not depend
            on what this machine is fast in, and for the one type of a token table.
        max_lengths: longest texts in tokens; empty for the model's own limit.
        overflows: what becomes of longer texts: cut, pool, error.
        prompts: what to put before texts instead of the model's prompts, by role: "query", "document" and ""
            for texts without a role. Prompts that the model has for single tasks are not used then.
        normalize: scale vectors to unit length; otherwise they are as the model's folder gives them.
        pooling: replaces the folder's own.
        backend: the engine, as `yuyi.load` takes it.
        device: where to compute, as torch names it; None for a GPU if there is one.
    """

    dims: Sequence[int] = ()
    dtypes: Sequence[str] = ()
    max_lengths: Sequence[int] = ()
    overflows: Sequence[str] = ("cut",)
    prompts: Mapping[str, str] = field(default_factory=dict)
    normalize: bool = True
    pooling: str | None = None
    backend: str = "auto"
    device: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no model could do."""
        for overflow in self.overflows:
            if overflow not in OVERFLOWS:
                raise InputError(f"overflow {overflow}: no such choice. Choose from {', '.join(OVERFLOWS)}.")
        if not self.overflows:
            raise InputError(f"overflow: none is given. Choose from {', '.join(OVERFLOWS)}.")
        for dtype in self.dtypes:
            if dtype not in get_args(Dtype):
                raise InputError(f"dtype={dtype!r}: choose one of {', '.join(get_args(Dtype))}.")
        for role in self.prompts:
            if role not in ROLES:
                raise InputError(f"prompt for {role!r}: no such role. Known are query and document.")

    @property
    def readers(self) -> int:
        """How often texts are encoded: once for every dtype, length and overflow."""
        return max(1, len(self.dtypes)) * max(1, len(self.max_lengths)) * len(self.overflows)


@dataclass(frozen=True, slots=True)
class Reader:
    """An open model and how it is to read texts.

    Attributes:
        encoder: the model.
        prompts: what stands before texts, by role or by the name of the task or type that mteb looks for;
            None where the encoder does not say.
        overflow: what becomes of texts that are too long; empty where the encoder does not say.
        normalize: whether vectors are brought to unit length.
    """

    encoder: Encoder
    prompts: Mapping[str, str] | None
    overflow: str
    normalize: bool

    @property
    def judged(self) -> Judged:
        """The model's name, fingerprint and dimension."""
        name = str(getattr(self.encoder, "name", type(self.encoder).__name__))
        return Judged(name, self.encoder.fingerprint, self.encoder.dim)

    def setting(self, dim: int) -> Setting:
        """The setting as it is settled, with vectors cut to `dim`."""
        tell: Any = self.encoder
        return Setting(
            dim=dim,
            dtype=getattr(tell, "dtype", ""),
            max_length=getattr(tell, "max_tokens", None),
            overflow=self.overflow,
            prompts=dict(self.prompts or {}),
            pooling=getattr(tell, "pooling", ""),
            backend=getattr(tell, "backend_name", ""),
            device=getattr(tell, "device", ""),
            normalize=self.normalize,
        )

    def checked(self, dims: Sequence[int]) -> list[int]:
        """The dimensions, largest first; the full one where none is asked for.

        Raises:
            InputError: the model has fewer.
        """
        most = self.encoder.dim
        for dim in dims:
            if not 1 <= dim <= most:
                raise InputError(f"dimension {dim}: the model gives {most}. Choose from 1 to {most}.")
        return sorted(set(dims), reverse=True) or [most]

    def encode(self, texts: list[str], role: str) -> NDArray[np.float32]:
        """(rows, dim) float32 as the model gives them, before they are cut and scaled.

        Args:
            texts: what to encode.
            role: "query", "document", "" for neither, or another name that `prompts` has.
        """
        encoder: Any = self.encoder
        if self.prompts is None:
            ways = {"query": encoder.encode_query, "document": encoder.encode_document}
            return np.asarray(ways.get(role, encoder.encode)(texts))
        prompt = self.prompts[role]
        if not self.overflow:
            return np.asarray(encoder.encode(texts, prompt=prompt, normalize=False))
        # Cuts are part of the setting and no news, so they are told and not warned of.
        vectors, _ = encoder.encode(
            texts,
            prompt=prompt,
            overflow=self.overflow,
            normalize=False,
            show_progress=False,
            return_info=True,
        )
        return np.asarray(vectors)


def readers(model: Encoder | str | os.PathLike[str] | None, sweep: Sweep) -> Iterator[Reader]:
    """A reader for every dtype, length and overflow, one model open at a time.

    Args:
        model: an encoder, or what `yuyi.load` opens.
        sweep: what to read under.

    Raises:
        InputError: the settings ask an open encoder for what it cannot do.
        ModelError: the model cannot be opened.
    """
    if model is None or not hasattr(model, "encode_document"):
        dtypes: Sequence[str | None] = sweep.dtypes or [None]
        lengths: Sequence[int | None] = sweep.max_lengths or [None]
        for dtype, length in product(dtypes, lengths):
            yield from _readers(_open(model, sweep, dtype, length), sweep)
        return
    asked = {
        "dtypes": sweep.dtypes,
        "max_lengths": sweep.max_lengths,
        "pooling": sweep.pooling,
        "device": sweep.device,
        "backend": sweep.backend != "auto",
    }
    if wrong := [name for name, value in asked.items() if value]:
        raise InputError(
            f"{', '.join(wrong)}: a model that is open already cannot change that. Give its name or folder."
        )
    yield from _readers(model, sweep)  # type: ignore[arg-type]


def _open(
    model: str | os.PathLike[str] | None, sweep: Sweep, dtype: str | None, length: int | None
) -> LoadedEncoder:
    options: dict[str, Any] = {
        "backend": sweep.backend,
        "device": sweep.device,
        "pooling": sweep.pooling,
        "max_tokens": length,
    }
    encoder = load(model, dtype=dtype or "auto", **options)  # type: ignore[arg-type]
    if dtype is None and encoder.dtype in ("bfloat16", "float16"):
        del encoder
        return load(model, dtype="float32", **options)
    return encoder


def _readers(encoder: Encoder, sweep: Sweep) -> Iterator[Reader]:
    if isinstance(encoder, LoadedEncoder):
        for overflow in sweep.overflows:
            yield Reader(encoder, _prompts(encoder, sweep), overflow, sweep.normalize)
        return
    name = getattr(encoder, "name", type(encoder).__name__)
    if tuple(sweep.overflows) != ("cut",):
        raise InputError(f"overflow: {name} decides itself about long texts. Leave the option out.")
    prompted = hasattr(encoder, "role_prompts")
    if sweep.prompts and not prompted:
        raise InputError(f"prompts: {name} puts its own before texts. Leave the option out.")
    yield Reader(encoder, _prompts(encoder, sweep) if prompted else None, "", sweep.normalize)


def _prompts(encoder: Any, sweep: Sweep) -> dict[str, str]:
    """By role, and by the names of tasks and types that the model has prompts for."""
    others: dict[str, str] = {} if sweep.prompts else dict(getattr(encoder, "prompts", {}))
    for role in (*QUERY, *DOCUMENT):
        others.pop(role, None)
    return {**others, **encoder.role_prompts, **sweep.prompts}
