"""What decides a training run. Built by hand, or read from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from yuyi.config import REFUSE_UNKNOWN
from yuyi.errors import RecipeError

Share = Annotated[float, Field(ge=0, le=1)]
Objective = Literal["contrast", "judged", "labels", "align", "distil", "mlm", "retromae"]
Form = Literal["forward", "symmetric", "improved"]
Diagonal = Literal["twice", "once"]
HardnessOn = Literal["hard_negatives", "in_batch_negatives", "all_negatives"]
Schedule = Literal["linear", "cosine", "wsd"]
TaskKind = Literal[
    "retrieval",
    "parallel",
    "pair",
    "nli",
    "sts",
    "classification",
    "clustering",
    "distillation",
    "alignment",
]

# The learning rate of a token table where none is given.
_TABLE_RATE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One kind of batch: which rows it draws, and which objective they get.

    Attributes:
        objective: `contrast`: InfoNCE with in-batch and hard negatives. `judged`: CoSENT over the labels
            plus InfoNCE over the pairs with the highest label, the others' `text_b` being further negatives
            where the label is 0. `labels`: supervised contrast of `text_a` by label. `align`: cosine to the
            teacher's embeddings, mixed with the teacher's similarities between the texts of a batch.
            `distil`: a teacher's scores of a row's candidates. `mlm`: masked words. `retromae`: masked words
            and a weak decoder that reads the embedding.
        share: how often this task is drawn, relative to the others of its stage.
        weight: factor on its loss.
        kinds: kinds of pairs that it draws from; empty for every kind that fits the objective.
        sources: names of the collections that it draws from; empty for all.
        emphasis: factor on the sampling weight of a source, by its name or by its kind.
        batch: rows in a batch; all of them from one source.
        by_length: whether the rows of a batch are of about one length, so that short texts make fast steps;
            batches are a little less random for it.
        temperature: of InfoNCE, of the supervised contrast, or of the similarities in `align` and `distil`.
        form: which similarities InfoNCE normalises over (`yuyi.train.losses.info_nce`).
        diagonal: how often the `improved` form counts a pair's own similarity.
        negatives: hard negatives of a row that take part, at most; taken from those that the row brings.
        refresh: steps of this task after which the hard negatives of all rows drawn since are scored again,
            and those that have become easy make room for the row's next (`yuyi.train.drawing.dynamic`); None
            keeps the first `negatives` of each row.
        margin: a negative that is more similar to the query than its own document by more than this cosine
            is taken for an unmarked answer and left out; None keeps all.
        hardness: weight of negatives by their similarity; 0 for none.
        hardness_on: which negatives `hardness` weighs.
        spread: weight of the spread-out regulariser beside the loss.
        keep: weight of the cosine between the batch's embeddings and those that the previous model gives the
            same texts; for continual learning alone.
        scale: of CoSENT; and what cosines are multiplied by in `distil_by: margin`, to bring them to the
            unit of the teacher's scores.
        ranking: weight of CoSENT in `judged`.
        pairing: weight of InfoNCE in `judged`; `sts` rows never have it.
        labels_by: in `labels`, `contrast`: each text against all others of the batch, those of its label
            being its partners (Khosla et al. 2020). `negatives`: each text against one partner of its label
            and `negatives` texts of other labels (piccolo2).
        distil_by: in `distil`, `kl`: the shares that the teacher's scores give to the candidates of a row.
            `margin`: by how much a row's document is ahead of each negative.
        teacher_temperature: the teacher's scores are divided by it in `distil_by: kl`.
        align_by: in `align`, `cosine` to the teacher's vectors, or `distance`: squared, lengths included
            (LEAF).
        projection: whether `align` trains a linear layer beside the model that takes its vectors to the
            teacher's dimension; needed where the two differ, left behind with the stage.
        relation: weight of the similarities between texts in `align`, 0 to 1; `align_by` has the rest.
        query_prompt: name of the prompt before `text_a`, or names by language; empty for none.
        document_prompt: likewise before `text_b` and the negatives.
        query_tokens: tokens of `text_a` that are read, special tokens included; None for the run's `longest`.
        document_tokens: likewise of `text_b` and the negatives.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    objective: Objective
    share: PositiveFloat = 1.0
    weight: PositiveFloat = 1.0
    kinds: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    emphasis: dict[str, PositiveFloat] = field(default_factory=dict)
    batch: PositiveInt = 2048
    by_length: bool = False
    temperature: PositiveFloat = 0.05
    form: Form = "symmetric"
    diagonal: Diagonal = "twice"
    negatives: NonNegativeInt = 1
    refresh: PositiveInt | None = None
    margin: NonNegativeFloat | None = None
    hardness: NonNegativeFloat = 0.0
    hardness_on: HardnessOn = "hard_negatives"
    spread: NonNegativeFloat = 0.0
    keep: NonNegativeFloat = 0.0
    scale: PositiveFloat = 20.0
    ranking: NonNegativeFloat = 1.0
    pairing: NonNegativeFloat = 1.0
    labels_by: Literal["contrast", "negatives"] = "contrast"
    distil_by: Literal["kl", "margin"] = "kl"
    teacher_temperature: PositiveFloat = 1.0
    align_by: Literal["cosine", "distance"] = "cosine"
    projection: bool = False
    relation: Share = 0.0
    query_prompt: str | dict[str, str] = ""
    document_prompt: str | dict[str, str] = ""
    query_tokens: PositiveInt | None = None
    document_tokens: PositiveInt | None = None

    @property
    def reads_documents(self) -> bool:
        """Whether it hides words in rows of documents; the others compare embeddings."""
        return self.objective in ("mlm", "retromae")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A run of steps with one mixture of tasks and one optimiser.

    Attributes:
        name: what the log calls it.
        steps: number of updates.
        tasks: what is drawn; empty for a task for each kind of rows that the data has (`yuyi.train.routes`).
        routes: in a stage without tasks, the task for rows of a kind in place of the default one; None
            leaves such rows out.
        learning_rate: the highest; a transformer needs one, and a token table has 0.1 without.
        final_rate: share of the learning rate that the last step has; with 0 it changes nothing.
        warmup: steps over which the learning rate rises from zero; the last of them has the highest.
        schedule: how it falls afterwards: `linear`, `cosine`, or `wsd` (warm-up, stable, decay: it stays, and
            falls linearly over the last fifth of the steps).
        weight_decay: of AdamW, on matrices only; a token table has none.
        clip: the gradient is scaled down to this norm; None leaves it. A token table is never clipped.
        balanced: each step draws every task once and adds their losses, each times its share (Conan), instead
            of drawing one task by its share.
        ema: share of the past in a moving average of the weights that ends the stage; 0 for none.
        freeze: parts of the model that rest at first, and for how many steps: `embeddings`, `layers.0`,
            `layers` for all of them, or any longer name of a parameter.
        probe: steps between scores on held-out rows; None for none.
        patience: the stage ends when so many probes in a row brought no better score, and goes on with the
            weights of the best; those that it began with are probed too. None for all steps and the last
            weights.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    name: str
    steps: PositiveInt
    tasks: tuple[Task, ...] = ()
    routes: dict[TaskKind, Task | None] = field(default_factory=dict)
    learning_rate: PositiveFloat | None = None
    final_rate: Share = 0.0
    warmup: NonNegativeInt = 0
    schedule: Schedule = "linear"
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat | None = 1.0
    balanced: bool = False
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    freeze: dict[str, PositiveInt] = field(default_factory=dict)
    probe: PositiveInt | None = None
    patience: PositiveInt | None = None

    def __post_init__(self) -> None:
        """Refuse patience without anything to wait for.

        Raises:
            RecipeError: there is no `probe`.
        """
        if self.patience is not None and self.probe is None:
            raise RecipeError(
                f"stages.{self.name}.patience: {self.patience}, and nothing is probed. Give probe, the steps "
                "between scores."
            )

    @property
    def highest_rate(self) -> float:
        """The highest learning rate."""
        return _TABLE_RATE if self.learning_rate is None else self.learning_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Continual:
    """Training on new data a model that is to keep what it knows.

    Attributes:
        previous: folder of the model as it is, from which training starts.
        replay: share of the steps that draw from old sources.
        align: weight of the cosine to the previous model's own vectors of the replayed texts.
        merge: share of the previous weights in the final ones.
        routes: tasks for old rows, by their kind, in place of the default ones; None leaves such rows out.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    previous: str
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.3
    align: NonNegativeFloat = 1.0
    merge: Share = 0.3
    routes: dict[TaskKind, Task | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The stages that a model goes through, and what they have in common.

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
