"""Parts of a model that rest at the beginning of a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What need not be written before the name of a part of the encoder.
_ENCODER = "encoder."


def resting_steps(names: Iterable[str], freeze: Mapping[str, int]) -> dict[str, int]:
    """How many steps each parameter rests; those that learn from the first step on are left out.

    Args:
        names: of the model's parameters, as torch has them, such as `encoder.layers.0.qkv.weight`.
        freeze: steps by part: a name, or the beginning of one up to a dot, without `encoder.`. Where several
            parts hold a parameter the longest name counts.

    Raises:
        RecipeError: a part is not in the model; the message lists those that are.
    """
    bare = {name: name.removeprefix(_ENCODER) for name in names}
    resting: dict[str, int] = {}
    for part in sorted(freeze, key=len):
        wanted = part.removeprefix(_ENCODER)
        held = [name for name, short in bare.items() if f"{short}.".startswith(f"{wanted}.")]
        if not held:
            raise RecipeError(
                f"freeze.{part}: the model has no such part. Choose from {', '.join(_parts(bare.values()))}, "
                "or a longer name within one of them."
            )
        resting |= dict.fromkeys(held, freeze[part])
    return resting


def _parts(names: Iterable[str]) -> list[str]:
    """The parts that a model is usually thought of, each once, in the model's order."""
    parts = dict.fromkeys(
        ".".join(name.split(".")[: 2 if name.startswith("layers.") else 1]) for name in names
    )
    return list(parts)
