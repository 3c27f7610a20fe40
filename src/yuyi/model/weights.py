"""An encoder's parameters from a model folder, whatever the architecture calls them on disk."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from yuyi.errors import ModelError
from yuyi.model.encoder import TransformerEncoder
from yuyi.model.names import HEADS, NAMINGS
from yuyi.model.tensors import check_tensor, read_tensors, some

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from yuyi.model.config import EncoderConfig
    from yuyi.model.names import Naming


def load_encoder(
    folder: Path, config: EncoderConfig, dtype: torch.dtype = torch.float32
) -> TransformerEncoder:
    """The encoder of a folder, in evaluation mode on the CPU; nothing is initialised before it is read.

    Raises:
        ModelError: a file is damaged; a tensor is missing, unknown, of another shape than the config
            asks for, or holds values that are no numbers.
    """
    with torch.device("meta"):
        encoder = TransformerEncoder(config)
    found = _own_tensors(folder, read_tensors(folder), NAMINGS[config.architecture])
    state = {
        name: _take(folder, found, config, name, tuple(parameter.shape)).to(dtype)
        for name, parameter in encoder.named_parameters()
    }
    if found:
        raise _contradiction(folder, config, f"hold {some(sorted(found))}, for which the config has no place")
    encoder.load_state_dict(state, assign=True)
    return encoder.eval()


def _own_tensors(folder: Path, tensors: dict[str, Tensor], naming: Naming) -> dict[str, Tensor]:
    """The encoder's own tensors under the names of `naming`, without prefix and training heads."""
    tokens = f"{naming.modules['embeddings.tokens'][0]}.weight"
    prefixes = [name.removesuffix(tokens) for name in tensors if name.endswith(tokens)]
    if len(prefixes) != 1:
        found = f"{len(prefixes)} candidate models" if prefixes else "no token table"
        raise ModelError(
            f"{folder}: the weights hold {found} (tensors that end in {tokens}). "
            "Choose a folder with one encoder."
        )
    prefix = prefixes[0]
    own: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        bare = name.removeprefix(prefix)
        if not bare.startswith(HEADS):
            # TensorFlow's names, kept by the oldest checkpoints.
            bare = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", bare)
            own[re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", bare)] = tensor
    return own


def _take(
    folder: Path, found: dict[str, Tensor], config: EncoderConfig, name: str, shape: tuple[int, ...]
) -> Tensor:
    """One of the encoder's parameters, removed from `found` piece by piece, checked and put together."""
    naming = NAMINGS[config.architecture]
    module, _, kind = name.rpartition(".")
    layer = re.search(r"\d+", module)
    key = re.sub(r"\d+", "{n}", module)
    number = layer[0] if layer else ""
    sources = [f"{source}.{kind}".format(n=number) for source in naming.modules[key]]
    others = [f"{source}.{kind}".format(n=number) for source in naming.alternatives.get(key, ())]
    if sources[0] not in found and others and others[0] in found:
        sources = others
    missing = [source for source in sources if source not in found]
    if missing:
        raise _contradiction(folder, config, f"lack {some(missing)}, which the config asks for")
    piece = (shape[0] // len(sources), *shape[1:])
    for source in sources:
        check_tensor(source, found[source], piece, folder)
    pieces = [found.pop(source) for source in sources]
    if key == "layers.{n}.up" and config.glu and not naming.gate_first:
        up, gate = pieces[0].chunk(2)
        pieces = [gate, up]
    return torch.cat(pieces) if len(pieces) > 1 else pieces[0]


def _contradiction(folder: Path, config: EncoderConfig, how: str) -> ModelError:
    return ModelError(
        f"{folder}: the weights {how} ({config.architecture}, {config.layers} layers). "
        "The config and the weights belong to different models; fetch both again."
    )
