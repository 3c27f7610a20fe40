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
        consistency: how far down a partner may rank for an encoder; None to leave the step out, since of
            what the embedded model marks more is good than bad.
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
    consistency: ConsistencyConfig | None = None
    quality: QualityConfig | None = None
    mine: NegativesConfig | None = None
    mix: MixtureConfig = field(default_factory=MixtureConfig)


def read_data_config(
    path: Path | None = None, assignments: Mapping[str, Any] | None = None, wanted: str = ""
) -> DataConfig:
    """The settings in a YAML file, changed by single assignments.

    Where a setting is itself a table of names with a value each, such as `filter.shortest_of`, an assignment
    to one name leaves the others at their defaults.

    Args:
        path: the file; None for the defaults.
        assignments: values by dotted key, such as `{"mix.alpha": 0.5}`.
        wanted: a section that has its defaults where nothing is said of it, also if it is off by default.

    Raises:
        RecipeError: the file is missing or no YAML, a key is unknown, a value is impossible.
    """
    tree = read_yaml(path) if path else {}
    # A section with nothing under it means the defaults of a step that is always done, else that it is not.
    tree = {name: section for name, section in tree.items() if section is not None or name in _OPTIONAL}
    if wanted in ("consistency", "mine"):
        tree.setdefault(wanted, {})
    given = dict(assignments or {})
    for key, table in _TABLES.items():
        if any(name.startswith(f"{key}.") for name in given):
            section, _, name = key.partition(".")
            told = (tree.get(section) or {}).get(name, table)
            given = {key: told, **given}
    return check_settings(DataConfig, with_settings(tree, given), str(path or "settings"))


_OPTIONAL = ("decontaminate", "consistency", "quality", "mine")
# Settings that are tables of names with defaults.
_TABLES = {
    "filter.shortest_of": FiltersConfig().shortest_of,
    "consistency.top_k_of": ConsistencyConfig().top_k_of,
}
