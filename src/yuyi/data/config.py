"""All that decides a set of training data: a section for each step, every key checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

# pydantic reads the annotations, also of settings that are None at first.
from yuyi.config import REFUSE_UNKNOWN, check_settings, read_yaml, with_settings
from yuyi.data.clean_documents import CleanConfig
from yuyi.data.consistency import ConsistencyConfig
from yuyi.data.decontaminate import DecontaminateConfig  # noqa: TC001
from yuyi.data.dedupe import DedupeConfig
from yuyi.data.extract import ExtractConfig
from yuyi.data.filters import FiltersConfig
from yuyi.data.mixture import MixtureConfig
from yuyi.data.negatives import NegativesConfig  # noqa: TC001
from yuyi.data.pairs import PairsConfig
from yuyi.data.quality import QualityConfig  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """The settings of every step, each under the name of its verb.

    Attributes:
        extract: what is read.
        dedupe: which documents and pairs say the same again.
        clean: what of a document is left out.
        pairs: which rules make pairs.
        filter: which pairs are marked for what they look like.
        decontaminate: the evaluation sets whose texts are marked; None for none.
        consistency: how far down a partner may rank; None to leave the step out.
        quality: the language model that judges; None for none.
        mine: how hard negatives are found; None for none.
        mix: what is taken.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    extract: ExtractConfig = field(default_factory=ExtractConfig)
    dedupe: DedupeConfig = field(default_factory=DedupeConfig)
    clean: CleanConfig = field(default_factory=CleanConfig)
    pairs: PairsConfig = field(default_factory=PairsConfig)
    filter: FiltersConfig = field(default_factory=FiltersConfig)
    decontaminate: DecontaminateConfig | None = None
    consistency: ConsistencyConfig | None = field(default_factory=ConsistencyConfig)
    quality: QualityConfig | None = None
    mine: NegativesConfig | None = None
    mix: MixtureConfig = field(default_factory=MixtureConfig)


def read_data_config(
    path: Path | None = None,
    assignments: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
    wanted: str = "",
) -> DataConfig:
    """The settings in a YAML file, changed by single assignments.

    Args:
        path: the file; None for the defaults.
        assignments: values by dotted key, such as `{"mix.alpha": "0.5"}`, each read as YAML.
        values: whole sections, which take the place of the file's before the assignments.
        wanted: a section that has its defaults where nothing is said of it, also if it is off by default.

    Raises:
        RecipeError: the file is missing or no YAML, a key is unknown, a value is impossible.
    """
    tree = dict((read_yaml(path) if path else None) or {}) | dict(values or {})
    if wanted in ("consistency", "mine"):
        tree.setdefault(wanted, {})
    return check_settings(DataConfig, with_settings(tree, assignments or {}), str(path or "settings"))
