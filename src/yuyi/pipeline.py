"""What a transformer model folder says of itself, read without torch.

Two kinds of folder are read: sentence-transformers' (`modules.json` names the steps from text to vector) and
plain Hugging Face ones (`config.json` and weights alone), which say nothing about pooling.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from yuyi.errors import ModelError
from yuyi.known import Known, find

if TYPE_CHECKING:
    from pathlib import Path

Pooling = Literal["cls", "mean", "last", "max", "mean_sqrt_len"]
Activation = Literal["identity", "tanh", "relu", "gelu", "silu", "sigmoid"]

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

# sentence-transformers' names, in the order in which it concatenates several of the older form.
POOLING_NAMES: dict[str, Pooling] = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "lasttoken": "last",
}
# Before version 5.4 each had a boolean of its own in the pooling config.
POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# By the last component of the class path that a dense layer's config names.
_ACTIVATIONS: dict[str, Activation] = {
    "Identity": "identity",
    "Tanh": "tanh",
    "ReLU": "relu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
}
# sentence-transformers wrote the transformer's settings under a name for each architecture.
_TRANSFORMER_SETTINGS = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_xlm-roberta_config.json",
)
# Position tables of these architectures begin with the padding id's rows, which no token uses.
_PADDED_POSITIONS = ("roberta", "xlm-roberta")
# The key of `config.json` under which a model declares its Matryoshka dimensions.
DIMS_KEY = "matryoshka_dimensions"
# transformers writes 1e30 for "no limit of its own".
_NO_LIMIT = 1 << 24


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer after pooling.

    Attributes:
        folder: where its weights lie, as `model.safetensors` or `pytorch_model.bin`; the tensors are
            `linear.weight` (out_features, in_features) and, with `bias`, `linear.bias` (out_features,).
        in_features: length of the vectors that go in.
        out_features: length of the vectors that come out.
        bias: whether it adds a bias.
        activation: the function applied to the result.
    """

    folder: Path
    in_features: int
    out_features: int
    bias: bool
    activation: Activation


@dataclass(frozen=True, slots=True)
class Normalize:
    """Vectors scaled to unit length."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps from text to vector that a model folder describes.

    Attributes:
        folder: the model folder.
        transformer: folder of `config.json`, weights and tokenizer; often `folder` itself.
        pooling: how token states become one vector; the results of several are concatenated.
        include_prompt: whether the tokens of a prompt take part in pooling.
        heads: what follows pooling, in order.
        max_tokens: the longest text the model takes, in tokens, special tokens included.
        lower_case: whether texts are lower-cased before the tokenizer sees them.
        prompts: texts put before an input, by name.
        default_prompt: name of the prompt used when none is asked for.
        dims: declared Matryoshka dimensions, largest first; empty when the model declares none.
        name: the model's name.
        languages: codes of its languages, as far as known.
        license: SPDX identifier, or the empty string.
    """

    folder: Path
    transformer: Path
    pooling: tuple[Pooling, ...]
    include_prompt: bool
    heads: tuple[Dense | Normalize, ...]
    max_tokens: int
    lower_case: bool
    prompts: dict[str, str]
    default_prompt: str | None
    dims: tuple[int, ...]
    name: str
    languages: tuple[str, ...]
    license: str


def read_pipeline(folder: Path, *, pooling: str | None = None, known: Known | None = None) -> Pipeline:
    """What the folder of a transformer model says of itself.

    Args:
        folder: a sentence-transformers folder or a plain Hugging Face folder.
        pooling: replaces the folder's own; needed for a plain folder of a model that is not known.
        known: published facts of this model, by default those of the model of the folder's name. Pooling and
            prompts are taken from them for a plain folder only: a sentence-transformers folder has its own.

    Raises:
        ModelError: a file is missing, is no JSON or says something that yuyi cannot do; or the folder is a
            plain one and nothing says how it pools.
    """
    modules = _read_steps(folder)
    transformer = folder / modules[0][1] if modules else folder
    config = read_json(transformer / "config.json")
    settings = _first_json(transformer, _TRANSFORMER_SETTINGS)
    known = _same_model(known or find(folder_name(folder)), config)
    if modules:
        pools, include_prompt = _read_pooling(folder / modules[1][1], replaced=pooling is not None)
        heads = tuple(_read_head(kind, folder / path) for kind, path in modules[2:])
    else:
        pools, include_prompt, heads = (), True, ()
    if not pools:
        pools = (_choose_pooling(folder, pooling, known),)
    prompts, default_prompt = read_prompts(folder)
    if known is not None and not modules and not prompts:
        prompts = dict(known.prompts)
    return Pipeline(
        folder=folder,
        transformer=transformer,
        pooling=pools,
        include_prompt=include_prompt,
        heads=heads,
        max_tokens=_max_tokens(transformer, config, settings),
        lower_case=bool(settings.get("do_lower_case", False)),
        prompts=prompts,
        default_prompt=default_prompt,
        dims=_read_dims(transformer / "config.json", config) or (known.dims if known else ()),
        name=known.name if known else folder_name(folder),
        languages=known.languages if known else (),
        license=(known.license or "") if known else "",
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ModelError: the file is missing, cannot be read or holds no JSON object.
    """
    value = _parse(path)
    if not isinstance(value, dict):
        raise ModelError(f"{path}: not a JSON object. Fetch the file again.")
    return value


def usable_positions(config: dict[str, Any]) -> int:
    """The longest text, in tokens, for which a `config.json` has positions; 0 when they make no sense."""
    # A null is the same as nothing.
    positions, pad = config.get("max_position_embeddings"), config.get("pad_token_id")
    positions = _NO_LIMIT if positions is None else positions
    if config.get("model_type") not in _PADDED_POSITIONS:
        pad = -1
    elif pad is None:
        pad = 1
    if not isinstance(positions, int) or not isinstance(pad, int):
        return 0
    return positions - pad - 1


def _parse(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}). A model folder needs this file; fetch it again."
        ) from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise ModelError(f"{path}: not JSON ({error}). Fetch the file again.") from error


def _first_json(folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """The first of these files that exists, or an empty object."""
    return next((read_json(folder / name) for name in names if (folder / name).is_file()), {})


def read_modules(folder: Path) -> list[tuple[str, str]]:
    """(kind, path) of each module that a folder's `modules.json` names, whatever they are.

    Raises:
        ModelError: the file is missing or damaged.
    """
    path = folder / "modules.json"
    modules = _parse(path)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ModelError(f"{path}: not a list of modules. Fetch the file again.")
    # The package path of these classes changed between versions; their own names did not.
    return [
        (str(module.get("type", "")).rpartition(".")[2], str(module.get("path", ""))) for module in modules
    ]


def _read_steps(folder: Path) -> list[tuple[str, str]]:
    """(kind, path) of each module: a Transformer, a Pooling, then heads; empty for a plain folder."""
    path = folder / "modules.json"
    if not path.is_file():
        _check_one_model(folder)
        return []
    steps = read_modules(folder)
    for kind, _ in steps:
        if kind not in ("Transformer", "Pooling", "Dense", "Normalize"):
            raise ModelError(
                f"{path}: module {kind!r} is not one that yuyi knows (Transformer, Pooling, Dense, "
                "Normalize), and code in a model folder is never run. Choose another model."
            )
    kinds = [kind for kind, _ in steps]
    if kinds[:2] != ["Transformer", "Pooling"] or {"Transformer", "Pooling"} & set(kinds[2:]):
        raise ModelError(
            f"{path}: the modules are {', '.join(kinds) or 'none'}; yuyi needs one Transformer, one Pooling "
            "and then any number of Dense and Normalize. Choose another model."
        )
    return steps


def _check_one_model(folder: Path) -> None:
    """Raise when `folder` holds no model but folders of models."""
    if (folder / "config.json").is_file() or not folder.is_dir():
        return
    inside = sorted(
        entry.name
        for entry in folder.iterdir()
        if (entry / "modules.json").is_file() or (entry / "config.json").is_file()
    )
    if inside:
        raise ModelError(
            f"{folder}: no model itself, but it holds {', '.join(inside)}. Give the path of one of them."
        )


def _read_pooling(folder: Path, replaced: bool) -> tuple[tuple[Pooling, ...], bool]:
    """(modes, include_prompt) of a pooling module's folder; no modes where others replace them."""
    path = folder / "config.json"
    config = read_json(path)
    include_prompt = bool(config.get("include_prompt", True))
    if replaced:
        return (), include_prompt
    names = config.get("pooling_mode")
    if names is None:
        names = [name for flag, name in POOLING_FLAGS.items() if config.get(flag)]
    names = names if isinstance(names, list) else [names]
    unknown = [name for name in names if not isinstance(name, str) or name not in POOLING_NAMES]
    if unknown or not names:
        raise ModelError(
            f"{path}: pooling {', '.join(map(repr, unknown)) or 'is not given'}; yuyi has "
            f"{', '.join(POOLINGS)}. Choose one of them with pooling=..."
        )
    return tuple(POOLING_NAMES[name] for name in names), include_prompt


def _read_head(kind: str, folder: Path) -> Dense | Normalize:
    config = _first_json(folder, ("config.json",))
    source = config.get("module_input_name", "sentence_embedding")
    if source != "sentence_embedding" or config.get("use_residual"):
        raise ModelError(
            f"{folder / 'config.json'}: a {kind} layer that reads {source!r} or adds its input is not one "
            "that yuyi can apply to a pooled vector. Choose another model."
        )
    if kind == "Normalize":
        return Normalize()
    config = read_json(folder / "config.json")
    name = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if name not in _ACTIVATIONS:
        raise ModelError(
            f"{folder / 'config.json'}: activation {name!r} is not one of {', '.join(_ACTIVATIONS)}. "
            "Choose another model."
        )
    taken, given = config.get("in_features", 0), config.get("out_features", 0)
    if not all(isinstance(size, int) and 0 < size < _NO_LIMIT for size in (taken, given)):
        raise ModelError(
            f"{folder / 'config.json'}: in_features and out_features are {taken!r} and {given!r}, not two "
            "whole numbers. Fetch the file again."
        )
    return Dense(folder, int(taken), int(given), bool(config.get("bias", True)), _ACTIVATIONS[name])


def read_prompts(folder: Path) -> tuple[dict[str, str], str | None]:
    """The prompts of a sentence-transformers folder by name, and the name of the one used by default.

    Raises:
        ModelError: the file that holds them is damaged, or its default is not among them.
    """
    path = folder / "config_sentence_transformers.json"
    told = _first_json(folder, (path.name,))
    prompts, default = told.get("prompts") or {}, told.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(text, str | None) for text in prompts.values()):
        raise ModelError(f"{path}: prompts are not texts by name. Fetch the file again.")
    if default is not None and default not in list(prompts):
        raise ModelError(
            f"{path}: the default prompt {default!r} is not among "
            f"{', '.join(prompts) or 'the prompts'}. Fetch the file again."
        )
    # A prompt of null is none at all, and nothing to use by default.
    prompts = {name: text for name, text in prompts.items() if text is not None}
    return prompts, default if default in prompts else None


def read_similarity(folder: Path) -> str:
    """What a sentence-transformers folder compares vectors by: "cosine" where it does not say, "dot", others.

    Raises:
        ModelError: the file that says so is damaged.
    """
    return str(
        _first_json(folder, ("config_sentence_transformers.json",)).get("similarity_fn_name") or "cosine"
    )


def _choose_pooling(folder: Path, pooling: str | None, known: Known | None) -> Pooling:
    choice = pooling if pooling is not None else known.pooling if known is not None else None
    if choice in POOLINGS:
        return choice
    choices = ", ".join(POOLINGS)
    if choice is None:
        raise ModelError(
            f"{folder}: the folder does not say how token states become one vector, and the wrong way spoils "
            f"every result. Choose with pooling=... one of {choices}, as the model's card says."
        )
    raise ModelError(f"pooling={choice!r}: no such pooling. Choose one of {choices}.")


def _same_model(known: Known | None, config: dict[str, Any]) -> Known | None:
    """The published facts, unless the folder's shape shows that it holds another model of that name."""
    if known is None:
        return None
    shape = ((known.architecture, config.get("model_type")), (known.layers, config.get("num_hidden_layers")))
    return known if all(fact is None or fact == said for fact, said in shape) else None


def _max_tokens(transformer: Path, config: dict[str, Any], settings: dict[str, Any]) -> int:
    """The smallest of the limits that the model's files state."""
    limits = [usable_positions(config)]
    stated = settings.get("max_seq_length")
    if stated is None:
        # As in sentence-transformers: its own setting goes before the tokenizer's.
        stated = _first_json(transformer, ("tokenizer_config.json",)).get("model_max_length")
    if isinstance(stated, int | float) and math.isfinite(stated):
        limits.append(int(stated))
    limit = min(limits)
    if not 0 < limit < _NO_LIMIT:
        raise ModelError(
            f"{transformer}: no usable limit on the length of a text (found {limit}). Set max_seq_length in "
            "sentence_bert_config.json."
        )
    return limit


def _read_dims(path: Path, config: dict[str, Any]) -> tuple[int, ...]:
    """The Matryoshka dimensions that `config.json` declares, as vLLM reads them; largest first."""
    dims = config.get(DIMS_KEY)
    if dims is None:
        return ()
    if not isinstance(dims, list) or not all(type(dim) is int and 0 < dim < _NO_LIMIT for dim in dims):
        raise ModelError(f"{path}: {DIMS_KEY} is {dims!r}, not a list of dimensions. Fetch the file again.")
    return tuple(sorted(set(dims), reverse=True))


def folder_name(folder: Path) -> str:
    """A model folder's name; in the Hugging Face cache, that inside `models--owner--name/snapshots/...`."""
    folder = folder.resolve()
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.name
