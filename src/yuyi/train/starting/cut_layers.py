"""An encoder with some of its layers, to be trained on as a smaller model."""

from __future__ import annotations

import re
from dataclasses import replace

import torch

from yuyi.errors import RecipeError
from yuyi.model.encoder import TransformerEncoder


def cut_layers(encoder: TransformerEncoder, keep: int | tuple[int, ...]) -> TransformerEncoder:
    """The encoder with the layers `keep` alone, their weights shared with `encoder`; in evaluation mode.

    Args:
        encoder: stays as it is.
        keep: numbers of layers, rising; or how many, spread evenly from the first to the last.

    Raises:
        RecipeError: there are no such layers, or they cannot stand in this order.
    """
    config = encoder.config
    layers = spread(keep, config.layers) if isinstance(keep, int) else keep
    if not layers or any(not 0 <= layer < config.layers for layer in layers):
        raise RecipeError(
            f"model.keep_layers: {keep!r}, and the folder's model has layers 0 to {config.layers - 1}. "
            "Choose from these."
        )
    if list(layers) != sorted(set(layers)):
        raise RecipeError(f"model.keep_layers: {keep!r} does not rise. Name each layer once, in order.")
    if config.pre_norm and layers[0] != 0:
        raise RecipeError(
            f"model.keep_layers: {keep!r}, but layer 0 of a {config.architecture} is unlike the others (its "
            "input is normalised already) and must stay. Put 0 first."
        )
    with torch.device("meta"):
        smaller = TransformerEncoder(
            replace(
                config,
                layers=len(layers),
                windows=tuple(config.windows[layer] for layer in layers),
                ropes=tuple(config.ropes[layer] for layer in layers) if config.ropes else (),
            )
        )
    held = encoder.state_dict()
    state = {
        name: held[re.sub(r"(?<=^layers\.)\d+", lambda place: str(layers[int(place[0])]), name)]
        for name in smaller.state_dict()
    }
    smaller.load_state_dict(state, assign=True)
    return smaller.eval()


def spread(count: int, layers: int) -> tuple[int, ...]:
    """`count` of so many layers, evenly from the first to the last (Sanh et al. 2019, arXiv 1910.01108).

    Raises:
        RecipeError: there are not so many.

    Examples:
        >>> spread(6, 12)
        (0, 2, 4, 7, 9, 11)
    """
    if not 1 <= count <= layers:
        raise RecipeError(f"model.keep_layers: {count}, and the folder's model has {layers}. Choose fewer.")
    return tuple(round(place * (layers - 1) / max(1, count - 1)) for place in range(count))
