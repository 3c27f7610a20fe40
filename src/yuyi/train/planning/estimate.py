"""What a run would take, before it runs: parameters, memory and time.

Numbers of weights and products follow from the shape of the model; what a token's activations hold and how
fast the machine is were measured (`yuyi.train.planning.speed`). Nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import RecipeError
from yuyi.train.losses.blocks import BLOCK_SCORES
from yuyi.train.planning.shape import Shape
from yuyi.train.planning.speed import DIRECTIONS, TRAINED
from yuyi.train.routes import fits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from yuyi.train.config import Course, Task
    from yuyi.train.learner import Learner
    from yuyi.train.planning.speed import Speed
    from yuyi.train.reading.sources import Source

    Integers = NDArray[np.int64]

# Of a float32.
_BYTES = 4
# Weights, their gradients, and AdamW's two moments.
_COPIES = 4
# Matrices of scores beside one another in the objective, as `info_nce` says of itself.
_SCORE_MATRICES = 4
# Passes over texts that are embedded once more for their gradient.
_AGAIN = TRAINED + 1
# Objectives whose texts are both columns of a pair, with its negatives.
_OF_PAIRS = ("contrast", "judged", "distil")


@dataclass(frozen=True, slots=True)
class Data:
    """What a run draws from.

    Attributes:
        sources: a sample of each, tokenised.
        rows: how many each has in truth, by name and kind.
        document_rows: rows of tokens for `mlm` and `retromae`.
        document_tokens: tokens of these, special tokens left out.
        hidden: share of them that is guessed.
    """

    sources: Sequence[Source]
    rows: Mapping[tuple[str, str], int]
    document_rows: int = 0
    document_tokens: int = 0
    hidden: float = 0.3


@dataclass(frozen=True, slots=True)
class TaskEstimate:
    """What a task takes.

    Attributes:
        stage: its stage.
        objective: what it does.
        share: how often it is drawn, 0 to 1.
        batch: rows of a step, on average.
        rows: rows that it draws from.
        tokens: of a step, special tokens included, about.
        epoch: steps until every row has come once.
        times: how often every row comes in the stage.
        seconds: of a step, about.
        shared: of these, those of the objective over the whole batch, which every rank computes for itself.
    """

    stage: str
    objective: str
    share: float
    batch: int
    rows: int
    tokens: int
    epoch: int
    times: float
    seconds: float
    shared: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run takes.

    Attributes:
        parameters: numbers of weights, by part of the model.
        memory: bytes, by what holds them at the worst moment.
        tasks: each task of each stage.
        seconds: of each stage, by name.
    """

    parameters: dict[str, int]
    memory: dict[str, int]
    tasks: tuple[TaskEstimate, ...]
    seconds: dict[str, float] = field(default_factory=dict)


def estimate(
    course: Course, learner: Learner, data: Data, speed: Speed, ranks: int = 1, *, previous: bool = False
) -> Estimate:
    """What a run takes.

    Args:
        course: stages, with every task spelled out.
        learner: the model.
        data: what it draws from.
        speed: as measured.
        ranks: how many devices work together.
        previous: whether the model as it was stays beside, as continual learning needs it.

    Raises:
        RecipeError: a task finds nothing to draw from.
    """
    shape = Shape.of(learner)
    weights = _BYTES * sum(shape.parameters.values())
    tasks, seconds, activations, scores = [], {}, 0.0, 0
    for stage in course.stages:
        total = sum(task.share for task in stage.tasks)
        seconds[stage.name] = 0.0
        for task in stage.tasks:
            drawn = _Drawn.of(task, course, learner, data)
            shared = _shared(task, course, shape, drawn, speed)
            each = shared + _seconds(task, shape, learner.token_budget, drawn, speed, data.hidden, ranks)
            share = 1.0 if stage.balanced else task.share / total
            steps = stage.steps * share
            seconds[stage.name] += steps * each
            epoch = max(1, round(drawn.rows / drawn.batch))
            tasks.append(
                TaskEstimate(
                    stage=stage.name,
                    objective=task.objective,
                    share=share,
                    batch=round(drawn.batch),
                    rows=drawn.rows,
                    tokens=round(drawn.tokens),
                    epoch=epoch,
                    times=steps / epoch,
                    seconds=each + speed.step,
                    shared=shared,
                )
            )
            budget = learner.token_budget or drawn.tokens
            activations = max(activations, min(budget, drawn.tokens / ranks) * speed.activations)
            scores = max(scores, _score_bytes(task, course, shape, drawn, data.hidden))
        seconds[stage.name] += stage.steps * speed.step
    memory = {
        "weights": weights,
        "gradients": 0 if shape.sparse else weights,
        "optimiser": 2 * weights,
        "averages and best weights": weights * _copies(course),
        "previous model": weights * previous,
        "activations": round(activations),
        "objective": scores,
    }
    return Estimate(shape.parameters, memory, tuple(tasks), seconds)


def _copies(course: Course) -> int:
    """How often the weights are kept beside those that learn: averages, the best, and own ones at a probe."""
    in_stage = (
        bool(stage.ema) + bool(stage.ema and stage.probe) + (stage.patience is not None)
        for stage in course.stages
    )
    return max(in_stage) + bool(course.average)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What a step of a task draws, on average.

    Attributes:
        rows: that there are in all.
        lengths: (sampled texts,) int64, of texts in the shares in which they come.
        texts: in a step.
        batch: rows in a step: the task's, or all rows of a smaller source.
    """

    rows: int
    lengths: Integers
    texts: float
    batch: float

    @property
    def tokens(self) -> float:
        return float(self.lengths.mean()) * self.texts

    @staticmethod
    def of(task: Task, course: Course, learner: Learner, data: Data) -> _Drawn:
        """What `task` draws.

        Raises:
            RecipeError: nothing fits it.
        """
        specials = learner.frame.specials
        if task.reads_documents:
            length = data.document_tokens // max(1, data.document_rows) + specials
            batch = min(task.batch, data.document_rows)
            return _Drawn(data.document_rows, np.full(1, length), batch, batch)
        sources = [source for source in data.sources if fits(task, source)]
        if not sources:
            raise RecipeError(
                f"task {task.objective} {task.kinds}: no source has pairs for it. Drop it or add data."
            )
        rows = [data.rows[source.name, source.kind] for source in sources]
        batches = [min(task.batch, count) for count in rows]
        # How often each source is drawn, as so many copies of its sample.
        shares = np.asarray([count**course.exponent for count in rows])
        copies = np.maximum(1, np.round(16 * shares / shares.max())).astype(int)
        lengths = [_lengths(task, course, learner, source) for source in sources]
        per_row = [len(each) / len(source) for each, source in zip(lengths, sources, strict=True)]
        return _Drawn(
            sum(rows),
            np.concatenate([np.tile(each, count) for each, count in zip(lengths, copies, strict=True)]),
            float(np.average(np.multiply(per_row, batches), weights=shares)),
            float(np.average(batches, weights=shares)),
        )


def _lengths(task: Task, course: Course, learner: Learner, source: Source) -> Integers:
    """Tokens of every text of a source that the task embeds, special tokens included."""
    specials = learner.frame.specials

    def fitted(lengths: Integers, own: int | None) -> Integers:
        limits = (own, course.longest + specials, learner.frame.max_tokens)
        return np.minimum(lengths + specials, min(limit for limit in limits if limit))

    columns = [fitted(source.queries.tokens.lengths, task.query_tokens)]
    if task.objective in _OF_PAIRS:
        columns.append(fitted(source.documents.tokens.lengths, task.document_tokens))
    if task.objective in ("contrast", "distil") and len(source.negatives):
        numbers, _ = source.first_negatives(np.arange(len(source)), task.negatives)
        columns.append(fitted(source.negatives.take(numbers).tokens.lengths, task.document_tokens))
    return np.concatenate(columns)


def _seconds(
    task: Task,
    shape: Shape,
    token_budget: int | None,
    drawn: _Drawn,
    speed: Speed,
    hidden: float,
    ranks: int,
) -> float:
    """Of one step on each rank, without the objective over the whole batch and the optimiser."""
    encoding = shape.products(drawn.lengths) / len(drawn.lengths) * drawn.texts
    if task.reads_documents:
        assert shape.encoder is not None
        scored = drawn.tokens * (hidden + (task.objective == "retromae"))
        work = encoding + 2.0 * scored * shape.encoder.hidden * (shape.vocabulary + shape.encoder.hidden)
        if task.objective == "retromae":  # Its decoder is a layer.
            work += encoding / shape.encoder.layers
        return TRAINED * work / ranks / speed.flops
    budget = token_budget or drawn.tokens
    passes = _AGAIN if drawn.tokens / ranks > budget else TRAINED
    work = (passes + (task.keep > 0)) * encoding / ranks  # What is kept is embedded by the previous model.
    return work / speed.flops


def _shared(task: Task, course: Course, shape: Shape, drawn: _Drawn, speed: Speed) -> float:
    """Seconds of the scores of a step, which every rank computes all of; 0 where there are few."""
    if task.objective != "contrast":
        return 0.0
    pairs = drawn.batch * (drawn.texts - drawn.batch) * DIRECTIONS[task.form]
    again = (_AGAIN if pairs > BLOCK_SCORES else TRAINED) / TRAINED
    products = 2.0 * TRAINED * (sum(course.dims) or shape.dim)
    return again * pairs * (products / speed.flops + max(1, len(course.dims)) * speed.score)


def _score_bytes(task: Task, course: Course, shape: Shape, drawn: _Drawn, hidden: float) -> int:
    """What an objective holds: scores, and the vectors with their gradients and cuts."""
    if task.reads_documents:
        guessed = min(1_024.0, drawn.tokens * hidden)
        return round(_BYTES * 3 * guessed * shape.vocabulary)
    vectors = drawn.texts * (2 * shape.dim + 3 * (sum(course.dims) or shape.dim))
    scores = min(float(BLOCK_SCORES), drawn.batch * (drawn.texts - drawn.batch))
    return round(_BYTES * (vectors + _SCORE_MATRICES * scores))
