"""Quality by language model: any OpenAI-compatible chat endpoint grades pairs, within a budget.

Every answer is written down when it comes, in `quality-cache.sqlite` in the data folder, by address, model,
options, rubric and texts. A run that was killed, or has another budget or sample, pays for no pair twice.
"""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.marking.chat import Chat
from yuyi.data.marking.judgments import Judgments, judgments_in
from yuyi.data.marking.quality_plan import Choice, cost_of, estimate, key_of, plan_of
from yuyi.data.marking.rubric import HIGHEST, RUBRICS, question_about, rubric_for, scores_in
from yuyi.data.reasons import Reasons
from yuyi.data.step import StepRecord, add_counts, run_step
from yuyi.errors import InputError
from yuyi.records import Mark, read_marks, write_marks
from yuyi.server import Refused, Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from yuyi.data.folder import DataFolder
    from yuyi.data.marking.chat import Answer
    from yuyi.data.marking.quality_plan import QualityPlan
    from yuyi.data.step import Counts, Workplace
    from yuyi.progress import Done
    from yuyi.records import Pair

STEP = "marks/quality"
CACHE = "quality-cache.sqlite"
# Not one of the pairs' parts, so that no step takes its rows for marks.
_SCORES = ".scores.parquet"
_CODE = (
    *("data/quality.py", "data/marking/quality_plan.py", "data/marking/rubric.py", "data/marking/chat.py"),
    *("server.py", "data/marking/judgments.py", "data/clean.py", "data/hashing.py", "data/reasons.py"),
)
# These change how long a run takes and not what comes of it.
_HOW_NOT_WHAT = ("concurrency", "timeout", "retries", "wait", "dry_run", "key_variable")
# An input of the step that names an earlier run after which pairs had no score.
_AFTER = "after an incomplete run"


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityConfig:
    """Who grades which pairs, for how much.

    Attributes:
        base_url: of an OpenAI-compatible server, such as `http://localhost:8000/v1`.
        model: its name there.
        key_variable: environment variable that holds the key; the key itself is written nowhere.
        least: pairs that score less are marked; scores go from 0 to 5.
        sample: below 1 the share of the pairs that are graded, else their number; always the same ones.
            None for all.
        batch: pairs in a request.
        longest: characters of a text that are shown.
        concurrency: requests at a time.
        timeout: seconds without a byte after which a request counts as failed.
        retries: how often a request is sent again after 429, 5xx or no answer.
        wait: seconds before it is, doubled each time; where the server says how long, that long.
        attempts: how often pairs are asked about whose score an answer lacks.
        budget: most money to spend in all on this folder with this model, in the currency of the prices.
        budget_tokens: most tokens to spend likewise, sent and received together.
        price_in: of a million tokens sent.
        price_out: of a million tokens received.
        options: further fields of each request, such as `temperature`.
        dry_run: whether to count what a run would ask and cost, and ask nothing.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    base_url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    least: Annotated[float, Field(ge=0, le=HIGHEST)] = 3.0
    sample: PositiveFloat | None = None
    batch: PositiveInt = 10
    longest: PositiveInt = 1_200
    concurrency: PositiveInt = 4
    timeout: PositiveFloat = 120.0
    retries: NonNegativeInt = 6
    wait: NonNegativeFloat = 1.0
    attempts: PositiveInt = 3
    budget: NonNegativeFloat | None = None
    budget_tokens: NonNegativeInt | None = None
    price_in: NonNegativeFloat = 0.0
    price_out: NonNegativeFloat = 0.0
    options: dict[str, Any] = field(default_factory=lambda: {"temperature": 0})
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Refuse a budget that nothing would ever exceed."""
        if self.budget is not None and not (self.price_in or self.price_out):
            raise ValueError("budget: counts money, and price_in and price_out are 0. Set them too.")


def judge_quality(
    folder: DataFolder,
    config: QualityConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of `marks/quality`, once it marks the pairs that score low.

    Pairs with a label, and pairs that another step has marked, are not graded; neither is what no answer
    gave a score to, or what the budget did not suffice for, and such pairs get no mark. A run after one that
    left pairs without a score asks about these again, as far as the budget goes.

    Its counts are `rows`, those graded by source as `seen`, by source and reason `marked`, those left without
    a score by source and reason (`budget`, `no answer`, `refused`) as `ungraded`, and `tokens_in` and
    `tokens_out` spent on the model so far. With `dry_run` they are those of `plan_quality`, and nothing is
    written.

    Args:
        folder: where the pairs are.
        config: who grades, and what.
        workers: for likeness to other steps; requests wait for the server, and `concurrency` rules them.
        on_done: called with numbers of graded pairs.

    Raises:
        InputError: there are no pairs, the endpoint does not answer, or the folder cannot be written.
    """
    if config.dry_run:
        return _plan_record(plan_quality(folder, config))
    reasons = Reasons(folder, without=(STEP,))
    settings = {name: value for name, value in asdict(config).items() if name not in _HOW_NOT_WHAT}
    return run_step(
        folder.path / STEP,
        lambda place: _judge(folder, config, reasons, place),
        settings=settings,
        inputs={
            "pairs": folder.need("pairs").digest,
            **reasons.digests(),
            **_asks_again(folder.record(STEP)),
        },
        code=_CODE,
        workers=workers,
        on_done=on_done,
    )


def _asks_again(last: StepRecord | None) -> dict[str, str]:
    """An input that a run which leaves pairs without a score changes, so that it does not count as done."""
    if last is None:
        return {}
    if last.counts.get("ungraded"):
        return {_AFTER: last.fingerprint}
    return {_AFTER: last.inputs[_AFTER]} if _AFTER in last.inputs else {}


def plan_quality(folder: DataFolder, config: QualityConfig) -> QualityPlan:
    """What `judge_quality` would ask and what that would cost; nothing is asked, and nothing written.

    Raises:
        InputError: there are no pairs.
    """
    choice = Choice(folder, Reasons(folder, without=(STEP,)), config)
    cache = folder.path / CACHE
    with judgments_in(cache if cache.exists() else Path(":memory:")) as judgments:
        return plan_of(choice, config, judgments)


def quality_scores(folder: DataFolder, part: str) -> dict[int, float]:
    """The score of each graded row of a part of the pairs.

    Raises:
        InputError: the pairs were not graded.
    """
    folder.need(STEP)
    return {mark.row: mark.value for mark in read_marks(folder.path / STEP / f"{part}{_SCORES}")}


def _judge(folder: DataFolder, config: QualityConfig, reasons: Reasons, place: Workplace) -> Counts:
    choice = Choice(folder, reasons, config)
    with judgments_in(folder.path / CACHE) as judgments:
        grading = _Grading(config, judgments, place.on_done)
        grading.run(choice.batches(judgments, {}))
        counts: Counts = {"rows": 0, "seen": {}, "marked": {}, "ungraded": {}}
        for part in folder.parts("pairs"):
            _write_part(choice.rows(part), part, config, grading, place, counts)
        counts["tokens_in"], counts["tokens_out"] = judgments.spent(config.model)
    return counts


def _write_part(
    chosen: Iterator[tuple[int, Pair]],
    part: str,
    config: QualityConfig,
    grading: _Grading,
    place: Workplace,
    counts: Counts,
) -> None:
    """Write the scores of a part, and the marks that follow from them."""
    low: list[Mark] = []

    def scores() -> Iterator[Mark]:
        for row, pair in chosen:
            counts["rows"] += 1
            score = grading.score(pair)
            if isinstance(score, str):
                add_counts(counts["ungraded"], {pair.source: {score: 1}})
                continue
            add_counts(counts["seen"], {pair.source: 1})
            yield Mark(row, pair.pair_id, "score", score)
            if score < config.least:
                low.append(Mark(row, pair.pair_id, "low quality", score))
                add_counts(counts["marked"], {pair.source: {"low quality": 1}})

    write_marks(place.folder / f"{part}{_SCORES}", scores())
    write_marks(place.folder / f"{part}.parquet", low)


class _Grading:
    """Asks about batches, several at a time, until all are graded or the budget is spent."""

    def __init__(self, config: QualityConfig, judgments: Judgments, on_done: Done) -> None:
        self._config = config
        self._judgments = judgments
        self._on_done = on_done
        self._stop = threading.Event()
        # Why pairs that were asked about have no score, by key.
        self._left: dict[str, str] = {}
        server = Server(
            base_url=config.base_url,
            model=config.model,
            key_variable=config.key_variable,
            timeout=config.timeout,
            retries=config.retries,
            wait=config.wait,
            pause=self._stop.wait,
        )
        self._chat = Chat(server, config.options)

    def run(self, batches: Iterator[list[Pair]]) -> None:
        """Return when every batch has been asked about, or the next one would exceed the budget."""
        running: dict[Future[None], tuple[int, int]] = {}
        with ThreadPoolExecutor(self._config.concurrency) as pool:
            try:
                for batch in batches:
                    needs = estimate(batch, self._config)
                    while running and (
                        len(running) >= self._config.concurrency
                        or not self._affords(needs, *running.values())
                    ):
                        self._settle(running)
                    if not self._affords(needs):
                        break
                    running[pool.submit(self._grade, batch)] = needs
                while running:
                    self._settle(running)
            finally:
                # After an error nothing more is asked; answers that are on their way are still kept.
                self._stop.set()

    def score(self, pair: Pair) -> float | str:
        """The score of a pair, or after `run` why it has none."""
        key = key_of(pair, self._config)
        score = self._judgments.scores([key]).get(key)
        return self._left.get(key, "budget") if score is None else score

    def _settle(self, running: dict[Future[None], tuple[int, int]]) -> None:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            del running[future]
            future.result()

    def _affords(self, *needs: tuple[int, int]) -> bool:
        spent = self._judgments.spent(self._config.model)
        tokens = [sum(way) for way in zip(spent, *needs, strict=True)]
        most, money = self._config.budget_tokens, self._config.budget
        return (most is None or sum(tokens) <= most) and (
            money is None or cost_of(tokens, self._config) <= money
        )

    def _grade(self, pairs: list[Pair]) -> None:
        """Ask about pairs, and again about those that an answer leaves out."""
        for attempt in range(self._config.attempts):
            affordable = attempt == 0 or self._affords(estimate(pairs, self._config))
            if self._stop.is_set() or not affordable:
                break
            try:
                answer = self._chat.ask(
                    RUBRICS[rubric_for(pairs[0])], question_about(pairs, self._config.longest)
                )
            except Refused as refused:
                self._grade_apart(pairs, refused)
                return
            found = scores_in(answer.text, len(pairs))
            scores = {key_of(pairs[row], self._config): score for row, score in found.items()}
            self._judgments.keep(scores, self._config.model, *_spent(answer, pairs, self._config))
            self._on_done(len(found), max(0, answer.tokens_in) + max(0, answer.tokens_out))
            pairs = [pair for row, pair in enumerate(pairs) if row not in found]
            if not pairs:
                return
        self._left |= {key_of(pair, self._config): "no answer" for pair in pairs}

    def _grade_apart(self, pairs: list[Pair], refused: Refused) -> None:
        """Ask about the halves of what was refused as a whole; a pair that is refused alone gets no score."""
        if len(pairs) > 1:
            middle = len(pairs) // 2
            self._grade(pairs[:middle])
            self._grade(pairs[middle:])
        elif self._judgments.spent(self._config.model) == (0, 0):
            raise InputError(f"{self._chat.url}: {refused}. Check model ({self._config.model}) and options.")
        else:
            self._left[key_of(pairs[0], self._config)] = "refused"


def _spent(answer: Answer, pairs: Sequence[Pair], config: QualityConfig) -> tuple[int, int]:
    """Tokens of a request, as the endpoint counts them; an estimate where it does not."""
    guess = estimate(pairs, config)
    return (
        answer.tokens_in if answer.tokens_in >= 0 else guess[0],
        answer.tokens_out if answer.tokens_out >= 0 else guess[1],
    )


def _plan_record(plan: QualityPlan) -> StepRecord:
    return StepRecord(
        step="quality",
        fingerprint="",
        settings={"dry_run": True},
        inputs={},
        digest="",
        parts=(),
        counts=asdict(plan),
        seconds=0.0,
        peak_memory=0,
    )
