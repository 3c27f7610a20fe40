"""What decides a training run of a token table. Built by hand, or read from a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from yuyi.config import REFUSE_UNKNOWN

Share = Annotated[float, Field(ge=0, le=1)]
Objective = Literal["contrast", "judged", "labels", "align"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One kind of batch: which rows it draws, and which objective they get.

    Attributes:
        objective: `contrast`: symmetric InfoNCE with in-batch negatives. `judged`: CoSENT over the labels
            plus InfoNCE over the pairs with the highest label, the others' `text_b` being further negatives
            where the label is 0. `labels`: supervised contrast of `text_a` by label. `align`: cosine to the
            teacher's embeddings, mixed with the teacher's similarities between the texts of a batch.
        share: how often this task is drawn, relative to the others of its stage.
        kinds: kinds of pairs that it draws from; empty for every kind that fits the objective.
        emphasis: factor on the sampling weight of a source, by its name or by its kind.
        batch: rows in a batch; all of them from one source.
        temperature: of InfoNCE, of the supervised contrast, or of the similarities in `align`.
        scale: of CoSENT.
        ranking: weight of CoSENT against InfoNCE in `judged`.
        relation: weight of the similarities between texts in `align`, 0 to 1; the cosine has the rest.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    objective: Objective
    share: PositiveFloat = 1.0
    kinds: tuple[str, ...] = ()
    emphasis: dict[str, PositiveFloat] = field(default_factory=dict)
    batch: PositiveInt = 2048
    temperature: PositiveFloat = 0.05
    scale: PositiveFloat = 20.0
    ranking: NonNegativeFloat = 1.0
    relation: Share = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A run of steps with one mixture of tasks; the learning rate falls linearly to a share of its start.

    Attributes:
        name: what the log calls it.
        steps: number of updates.
        tasks: what is drawn.
        learning_rate: of Adam, at the first step.
        final_rate: share of the learning rate that is left at the last step.
        warmup: steps over which the learning rate rises from zero.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    name: str
    steps: PositiveInt
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    learning_rate: PositiveFloat = 0.1
    final_rate: Share = 0.0
    warmup: NonNegativeInt = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """What decides a token table, but for its vocabulary and its data.

    Attributes:
        dims: Matryoshka dimensions with their weights, largest first.
        stages: run in this order, the Adam moments starting afresh in each.
        longest: tokens of a text that training looks at.
        exponent: a source of n pairs is drawn in proportion to n to this power.
        average: share of each stage's last weights in the final ones, for stages but the last; by stage name.
        threads: of torch; part of the config since the order of sums depends on it.
        seed: of everything drawn at random.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    dims: Annotated[dict[PositiveInt, PositiveFloat], Field(min_length=1)]
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    longest: PositiveInt = 96
    exponent: NonNegativeFloat = 0.5
    average: dict[str, Share] = field(default_factory=dict)
    threads: PositiveInt = 2
    seed: NonNegativeInt = 0
