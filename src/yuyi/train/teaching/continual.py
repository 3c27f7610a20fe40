"""Learning something new without losing what is known: replay, keeping to the model as it was, and merging.

Three things work together, each a setting of `yuyi.train.config.Continual`:

* replay: a share of the steps draws from the sources that the model learned from before;
* align: on those steps the embeddings are also held to those that the model gave the same texts before. On
  new texts they are not, since there the model is to change;
* merge: the final weights are a mean of the trained ones and those before.

The published account of acge (TextIn, 2024) names continual learning of this sort against forgetting, without
figures; replay: Rebuffi et al. 2017, arXiv 1611.07725; keeping to one's own earlier outputs: Li and Hoiem
2016, arXiv 1606.09282; merging: Wortsman et al. 2022 (WiSE-FT), arXiv 2109.01903.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from yuyi.errors import RecipeError
from yuyi.train.distributed import ALONE
from yuyi.train.gradcache import join
from yuyi.train.routes import made_tasks, routed
from yuyi.train.running.averaging import mean, put
from yuyi.train.running.probe import embed_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from yuyi.train.config import Continual, Course, Stage
    from yuyi.train.distributed import World
    from yuyi.train.learner import Learner
    from yuyi.train.reading.sources import Source
    from yuyi.train.routes import Rows
    from yuyi.train.settings import TrainConfig
    from yuyi.types import TokenBatch

REPLAYED = "replayed: "
"""Stands before the name of an old source."""
# Objectives that draw from pairs; the others have sources of their own.
_OF_PAIRS = ("contrast", "judged", "labels", "distil")


class Previous:
    """The model as it was when this was made: a copy that does not learn."""

    def __init__(self, learner: Learner) -> None:
        """Copy `learner`, before training begins; it needs the memory of its weights once more."""
        self._model = copy.deepcopy(learner)

    def __call__(self, columns: Sequence[TokenBatch], world: World = ALONE) -> Tensor:
        """(texts, dim), the embeddings of the texts of all columns one after another, without gradient."""
        return embed_all(self._model, join(columns), world)

    def merge_into(self, learner: Learner, share: float) -> None:
        """Put the mean of the previous weights and the learner's into `learner`; `share` is the previous'."""
        now = learner.model()
        put(now, mean([self._model.model(), now], [share, 1 - share]))


def replayed(sources: Sequence[Source]) -> list[Source]:
    """The old sources under names that no new source has."""
    return [replace(source, name=REPLAYED + source.name) for source in sources]


def course_of(
    config: TrainConfig, sources: Sequence[Source], prompts: Mapping[str, str], rows: Rows = len
) -> Course:
    """The course of a run with every task spelled out, old data replayed where that is asked for.

    Args:
        config: all that decides the run.
        sources: the new ones, and the old ones under the names of `replayed`.
        prompts: the model's, by name.
        rows: how many a source has in truth, where `sources` are samples.

    Raises:
        RecipeError: there is nothing to make tasks from, or to replay.
    """
    if config.continual is None:
        return routed(config, sources, prompts, rows)
    new = [source for source in sources if not source.name.startswith(REPLAYED)]
    old = [source for source in sources if source.name.startswith(REPLAYED)]
    return with_replay(config, config.continual, new, old, prompts, rows)


def with_replay(
    course: Course,
    settings: Continual,
    new: Sequence[Source],
    old: Sequence[Source],
    prompts: Mapping[str, str] | None = None,
    rows: Rows = len,
) -> Course:
    """The course with tasks on old sources beside its own, which draw from new sources alone.

    In each stage the tasks on old sources are those that their kinds of rows have by default or by
    `settings.routes`, drawn in `settings.replay` of the steps, and held to the previous model with the weight
    `settings.align`.

    Args:
        course: stages for the new data.
        settings: shares and weights.
        new: sources to learn from.
        old: sources not to forget, from `replayed`.
        prompts: the model's, by name.
        rows: as `routed` takes it.

    Raises:
        RecipeError: something is to be replayed and there is nothing old, or a stage has nothing to draw.
    """
    if settings.replay and not old:
        raise RecipeError(
            f"continual.replay: {settings.replay}, and there are no old sources. Name some, or set it to 0."
        )
    course = routed(course, new, prompts, rows)
    return replace(
        course,
        stages=tuple(
            _stage_with_replay(stage, settings, new, old, prompts or {}, course.exponent, rows)
            for stage in course.stages
        ),
    )


def _stage_with_replay(
    stage: Stage,
    settings: Continual,
    new: Sequence[Source],
    old: Sequence[Source],
    prompts: Mapping[str, str],
    exponent: float,
    rows: Rows,
) -> Stage:
    names = tuple(sorted({source.name for source in new}))
    own = tuple(
        replace(task, sources=names) if task.objective in _OF_PAIRS and not task.sources else task
        for task in stage.tasks
    )
    if not settings.replay:
        return replace(stage, tasks=own)
    again = made_tasks(old, settings.routes, prompts, exponent, rows)
    share = sum(task.share for task in own) * settings.replay / (1 - settings.replay)
    whole = sum(task.share for task in again)
    if not again:
        raise RecipeError(
            f"stage {stage.name}: continual.routes leaves nothing of the old sources to be replayed. Leave "
            "a kind in, or set continual.replay to 0."
        )
    # A task's weight is a factor on all of its loss; what is kept is to count the same in each.
    kept = tuple(
        replace(task, share=task.share * share / whole, keep=settings.align / task.weight) for task in again
    )
    return replace(stage, tasks=own + kept)
