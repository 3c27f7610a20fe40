"""What a caller may ask of `encode`, checked and settled before the first text is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from yuyi.encode.output import PRECISIONS, Precision
from yuyi.errors import InputError
from yuyi.text.overflow import OVERFLOWS, Overflow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from yuyi.encode.devices import Workers
    from yuyi.encode.facts import Facts


class VectorOptions(TypedDict, total=False):
    """The options of `encode` that decide the vectors; explained there."""

    prompt_name: str | None
    prompt: str | None
    truncate_dim: int | None
    normalize: bool
    precision: Precision
    overflow: Overflow
    token_budget: int | None


class EncodeOptions(VectorOptions, total=False):
    """All options of `encode` but `return_info`."""

    show_progress: bool | None
    convert_to_tensor: bool
    workers: Workers | None


@dataclass(frozen=True, slots=True)
class Way:
    """How the texts of one call become vectors; settled before the first text is read."""

    prompt: str
    # Leading tokens of each text that are its prompt; and those that pooling leaves out, specials included.
    head: int
    prompt_tokens: int
    dim: int
    normalize: bool
    precision: Precision
    overflow: Overflow
    token_budget: int | None

    @property
    def options(self) -> VectorOptions:
        """What another encoder of the same model must be told to go this way."""
        return {
            "prompt": self.prompt,
            "truncate_dim": self.dim,
            "normalize": self.normalize,
            "precision": self.precision,
            "overflow": self.overflow,
            "token_budget": self.token_budget,
        }


def settle(
    facts: Facts,
    count: Callable[[str], int],
    specials_before: int,
    usual_budget: int | None,
    *,
    prompt_name: str | None = None,
    prompt: str | None = None,
    truncate_dim: int | None = None,
    normalize: bool = True,
    precision: Precision = "float32",
    overflow: Overflow = "cut",
    token_budget: int | None = None,
) -> Way:
    """How the texts of one call become vectors.

    `count` gives the number of tokens of a prompt without special ones, `specials_before` that of the special
    tokens before a text, `usual_budget` the token budget where none is asked for. The options are those of
    `Encoder.encode`.

    Raises:
        InputError: an option does not fit the model or another option.
    """
    if truncate_dim is not None:
        facts.check_dim(truncate_dim)
    _check_choice("precision", precision, PRECISIONS)
    _check_choice("overflow", overflow, OVERFLOWS)
    if precision == "int8" and not normalize:
        raise InputError(
            "precision='int8' with normalize=False: its fixed scale fits vectors of unit length. "
            "Leave normalize as it is, or use yuyi.encode.output.quantize with a scale of your own."
        )
    if token_budget is not None and token_budget < 1:
        raise InputError(f"token_budget={token_budget}: no text fits. Give at least 1, or leave it out.")
    chosen = facts.prompts.choose(prompt_name, prompt)
    pooled = facts.include_prompt or not chosen
    return Way(
        prompt=chosen,
        # The space behind a prompt joins the first word of the text in some vocabularies.
        head=count(chosen.rstrip()),
        # As sentence-transformers counts: the prompt as if it were a text, without the closing token.
        prompt_tokens=0 if pooled else specials_before + count(chosen),
        dim=truncate_dim or facts.dims[0],
        normalize=normalize,
        precision=precision,
        overflow=overflow,
        token_budget=token_budget or usual_budget,
    )


def _check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(f"{option}={value!r}: no such choice. Choose one of {', '.join(choices)}.")
