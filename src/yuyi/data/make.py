"""Raw text in, a training set out: every step in its order, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from yuyi.data.clean_documents import clean_documents
from yuyi.data.consistency import filter_by_consistency
from yuyi.data.decontaminate import decontaminate
from yuyi.data.dedupe import dedupe_documents, dedupe_pairs
from yuyi.data.extract import extract
from yuyi.data.filters import filter_pairs
from yuyi.data.mixture import mix
from yuyi.data.negatives import mine_negatives
from yuyi.data.pairs import make_pairs
from yuyi.data.quality import judge_quality
from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from yuyi.data.config import DataConfig
    from yuyi.data.folder import DataFolder
    from yuyi.data.step import StepRecord
    from yuyi.progress import Done

Step: TypeAlias = "Callable[..., StepRecord]"

# What each verb runs, in the order in which everything is made. Documents are compared before they are
# cleaned, so that a text published twice does not count as one that recurs.
STEPS: dict[str, tuple[str, Step]] = {
    "extract": ("extract", extract),
    "dedupe documents": ("dedupe", dedupe_documents),
    "clean": ("clean", clean_documents),
    "pairs": ("pairs", make_pairs),
    "filter": ("filter", filter_pairs),
    "dedupe pairs": ("dedupe", dedupe_pairs),
    "decontaminate": ("decontaminate", decontaminate),
    "consistency": ("consistency", filter_by_consistency),
    "quality": ("quality", judge_quality),
    "mine": ("mine", mine_negatives),
    "mix": ("mix", mix),
}


# What a step cannot do without, said to who asks for it and does not give it.
_MISSING = {
    "decontaminate": "no test sets are named (--eval PATH)",
    "quality": "no language model is named (--base-url URL --model NAME)",
}


def make(
    folder: DataFolder,
    config: DataConfig,
    *,
    workers: int | None = None,
    shown: Callable[[str], AbstractContextManager[Done]],
) -> Iterator[tuple[str, StepRecord]]:
    """Each step's name and record when it is done; steps that stand from before are kept.

    Steps that `config` has no settings for are left out, and what they made in an earlier run is removed, so
    that no mark of theirs counts any more. What a language model was paid for stays in its cache.

    Args:
        folder: where everything goes.
        config: the settings of all steps.
        workers: processes; None for one a core.
        shown: a display for a step of this name, to be told numbers of rows.

    Raises:
        InputError: an input is missing or damaged, or the folder cannot be written.
    """
    for name, (section, _) in STEPS.items():
        if getattr(config, section) is not None:
            yield name, run_one(name, folder, config, workers=workers, shown=shown)
        else:
            folder.remove(section)


def run_one(
    name: str,
    folder: DataFolder,
    config: DataConfig,
    *,
    workers: int | None = None,
    shown: Callable[[str], AbstractContextManager[Done]],
) -> StepRecord:
    """The record of one step of `STEPS`.

    Raises:
        InputError: there are no settings for it, what it needs was not made, or the folder cannot be written.
    """
    section, step = STEPS[name]
    settings = getattr(config, section)
    if settings is None:
        raise InputError(
            f"{section}: {_MISSING.get(section, 'has no settings')}. Give it with --config or --set."
        )
    with shown(name) as done:
        return step(folder, settings, workers=workers, on_done=done)
