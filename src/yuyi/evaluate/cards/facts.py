"""What a card says of the model itself, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import safetensors

from yuyi.encode import load
from yuyi.errors import InputError, ModelError, YuyiError
from yuyi.layout import TRANSFORMER_LAYOUTS, find_layout, has_torch_weights
from yuyi.pipeline import Dense, read_json, read_modules, read_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from yuyi.encode import Encoder
    from yuyi.evaluate.results import Result, Setting

# Of these, weights that no vector depends on.
_UNUSED = ("pooler.", "cls.", "lm_head.", "predictions.")


@dataclass(frozen=True, slots=True)
class Facts:
    """A model, as its folder describes it.

    Attributes:
        name: its name.
        architecture: `model_type` of its config.json; empty for a token table.
        layers: of the transformer; 0 for a token table.
        hidden: width of the transformer; 0 for a token table.
        vocabulary: number of pieces.
        parameters: of what decides vectors; None where the weights do not tell without torch.
        dims: length of its vectors, then the smaller ones that it declares.
        max_tokens: the longest text it takes, special tokens included; None for any.
        pooling: how token states become one vector; several are concatenated.
        heads: what follows pooling, as "Dense 768 → 1792" and "Normalize".
        prompts: texts put before an input, by name.
        languages: codes, as far as known.
        license: SPDX identifier, or the empty string.
        opens_elsewhere: whether sentence-transformers opens the folder without code from it.
    """

    name: str
    architecture: str
    layers: int
    hidden: int
    vocabulary: int
    parameters: int | None
    dims: tuple[int, ...]
    max_tokens: int | None
    pooling: tuple[str, ...]
    heads: tuple[str, ...]
    prompts: Mapping[str, str]
    languages: tuple[str, ...]
    license: str
    opens_elsewhere: bool

    @property
    def is_table(self) -> bool:
        """Whether it is a token table and no transformer."""
        return not self.architecture


def read_facts(folder: Path, encoder: Encoder) -> Facts:
    """The facts of a folder that `encoder` was opened from.

    Raises:
        ModelError: a file of the folder is damaged.
    """
    layout = find_layout(folder).name
    shared: dict[str, Any] = {
        "name": encoder.name,
        "vocabulary": encoder.vocabulary_size,
        "dims": encoder.dims,
        "max_tokens": encoder.max_tokens,
        "prompts": encoder.prompts,
        "languages": encoder.languages,
        "license": encoder.license.lower(),
    }
    if layout not in TRANSFORMER_LAYOUTS:
        modules = read_modules(folder) if (folder / "modules.json").is_file() else []
        return Facts(
            **shared,
            architecture="",
            layers=0,
            hidden=0,
            parameters=encoder.vocabulary_size * encoder.dim,
            pooling=("mean",),
            heads=tuple(kind for kind, _ in modules if kind == "Normalize"),
            opens_elsewhere=bool(modules),
        )
    return Facts(**shared, **_of_transformer(folder, elsewhere=layout == "sentence-transformers"))


def _of_transformer(folder: Path, *, elsewhere: bool) -> dict[str, Any]:
    pipeline = read_pipeline(folder)
    config = read_json(pipeline.transformer / "config.json")
    dense = [head for head in pipeline.heads if isinstance(head, Dense)]
    return {
        "architecture": str(config.get("model_type", "")) or "transformer",
        "layers": _whole(config.get("num_hidden_layers")),
        "hidden": _whole(config.get("hidden_size")),
        "parameters": _count([pipeline.transformer, *(head.folder for head in dense)]),
        "pooling": pipeline.pooling,
        "heads": tuple(
            f"Dense {head.in_features} → {head.out_features}" if isinstance(head, Dense) else "Normalize"
            for head in pipeline.heads
        ),
        "opens_elsewhere": elsewhere and has_torch_weights(pipeline.transformer) and "auto_map" not in config,
    }


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _count(folders: Iterable[Path]) -> int | None:
    """Number of values in the weights; None where a folder has none as safetensors."""
    total = 0
    for folder in dict.fromkeys(folders):
        sizes = list(_sizes(folder))
        if not sizes:
            return None
        total += sum(sizes)
    return total


def _sizes(folder: Path) -> Iterator[int]:
    for path in sorted(folder.glob("model*.safetensors")):
        try:
            with safetensors.safe_open(path, "numpy") as file:
                for name in file.keys():  # noqa: SIM118 (it is no mapping)
                    size = 1
                    for length in file.get_slice(name).get_shape():
                        size *= length
                    if not any(f".{part}" in f".{name}" for part in _UNUSED) and "position_ids" not in name:
                        yield size
        except safetensors.SafetensorError as error:
            raise ModelError(f"{path}: damaged ({error}). Copy the model folder again.") from error


def check_results(folder: Path, encoder: Encoder, results: Iterable[Result]) -> None:
    """Return when the results are of the model in the folder.

    Raises:
        InputError: they are of another one; the message names both fingerprints.
    """
    given = list(results)
    own = set(map(id, results_of(folder, encoder, given)))
    for result in given:
        if id(result) not in own:
            raise InputError(
                f"{folder}: its fingerprint is {encoder.fingerprint[:12]}, and the result of {result.task} "
                f"is of {result.model.name} {result.model.fingerprint[:12]}. Evaluate this folder, or give "
                "its own results."
            )


def results_of(folder: Path, encoder: Encoder, results: Iterable[Result]) -> list[Result]:
    """Those results that are of the model in the folder, under whatever setting."""
    known: dict[tuple[str, str, int | None], str] = {}
    own = []
    for result in results:
        fingerprint, setting = result.model.fingerprint, result.setting
        if fingerprint != encoder.fingerprint:
            key = (setting.backend, setting.dtype, setting.max_length)
            if key not in known:
                known[key] = _fingerprint(folder, encoder, setting)
            if fingerprint != known[key]:
                continue
        own.append(result)
    return own


def _fingerprint(folder: Path, encoder: Encoder, setting: Setting) -> str:
    """The model's fingerprint under a setting, as number type and length decide vectors, too."""
    options: dict[str, Any] = {}
    if setting.backend in ("torch", "onnx"):
        options = {"backend": setting.backend, "dtype": setting.dtype}
    if setting.max_length != encoder.max_tokens:
        options["max_tokens"] = setting.max_length
    try:
        return load(folder, **options).fingerprint
    except YuyiError:  # It is no setting of this model, or none of this machine.
        return encoder.fingerprint
