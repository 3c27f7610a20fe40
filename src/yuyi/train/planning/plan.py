"""What a run would take, found out on a sample of its data and in a second on its device."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.checks import check_data, check_model, warn_of_kinds
from yuyi.train.planning.estimate import Data, estimate
from yuyi.train.planning.speed import measure
from yuyi.train.planning.survey import survey, survey_documents
from yuyi.train.reading.corpus import read_sources, teacher_source
from yuyi.train.reading.passages import read_texts
from yuyi.train.run import choose_device
from yuyi.train.starting.initial import encoder_config, new_encoder
from yuyi.train.starting.model_config import TokenizerConfig
from yuyi.train.starting.start import open_start
from yuyi.train.starting.vocabulary import learn_tokenizer
from yuyi.train.table import Parts, TokenTable
from yuyi.train.teaching.continual import course_of
from yuyi.train.teaching.teacher_vectors import asked_texts, read_vectors
from yuyi.train.trainees import PRECISIONS
from yuyi.train.transformer import TransformerLearner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tokenizers import Tokenizer

    from yuyi.train.learner import Learner
    from yuyi.train.planning.estimate import Estimate
    from yuyi.train.planning.speed import Speed
    from yuyi.train.planning.survey import Surveyed
    from yuyi.train.settings import TrainConfig

    Group = tuple[str, str]


# Documents of each file that a tokenizer is learned from.
_DOCUMENTS = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would take.

    Attributes:
        device: where it would compute.
        ranks: how many devices.
        found: the data.
        tokens: mean tokens of the texts that ask and of those that answer, by name and kind of the data.
        documents: rows and tokens for pre-training.
        speed: of this machine.
        estimate: parameters, memory and time.
    """

    device: str
    ranks: int
    found: Sequence[Surveyed]
    tokens: Mapping[tuple[str, str], tuple[float, float]]
    documents: tuple[int, int]
    speed: Speed
    estimate: Estimate


def plan_run(config: TrainConfig, ranks: int = 1) -> Plan:
    """What a run would take; nothing is written.

    A tokenizer that the run is to learn is learned from the sample alone, so tokens are counted roughly then.

    Args:
        config: all that decides the run.
        ranks: devices that would share it, each as fast as this one.

    Raises:
        RecipeError: settings and model or data do not fit each other.
        InputError: a file is missing, damaged or empty.
        ModelError: the model's folder cannot be used.
    """
    device = choose_device(config)
    found = survey(config)
    learner, tokenizer, prompts = _open(config, found, device)
    batches = BatchTokenizer(tokenizer)
    frame = learner.frame
    room = None if frame.max_tokens is None else frame.max_tokens - frame.specials
    documents = survey_documents(config, batches, room) if config.documents else (0, 0)
    pairs = [pair for each in found for pair in each.sample]
    sources = read_sources(pairs, tokenizer, config.longest, smallest=1)
    rows: dict[Group, int] = {(each.name, each.kind): each.rows for each in found}
    course = course_of(config, sources, prompts, lambda source: rows[source.name, source.kind])
    if config.teacher is not None:
        given = config.teacher.vectors
        texts = read_vectors(Path(given))[0] if given else asked_texts(config.teacher, pairs)
        sources.append(teacher_source(texts, tokenizer, config.longest))
        every = 0 if given else sum(2 * each.rows for each in found)
        rows["teacher", "teacher"] = max(len(texts), min(config.teacher.most, every))
    warn_of_kinds(config, sources)
    for number, stage in enumerate(course.stages):
        for place, task in enumerate(stage.tasks):
            if not task.reads_documents:
                check_data(f"stages.{number}.tasks.{place}", task, sources)
    data = Data(sources, rows, *documents, hidden=config.masking.share)
    lengths = [
        np.concatenate([each.queries.tokens.lengths, each.documents.tokens.lengths]) for each in sources
    ]
    if not lengths:
        lengths = [np.full(8, documents[1] // max(1, documents[0]))]
    fitted = np.minimum(np.concatenate(lengths) + frame.specials, frame.max_tokens or 1 << 30)
    with _threads(config.threads):
        speed = measure(learner, fitted, course.stages[0])
    return Plan(
        device=str(device),
        ranks=ranks,
        found=found,
        tokens={
            (each.name, each.kind): (
                float(each.queries.tokens.lengths.mean()), float(each.documents.tokens.lengths.mean())
            )
            for each in sources
        },
        documents=documents,
        speed=speed,
        estimate=estimate(course, learner, data, speed, ranks, previous=config.continual is not None),
    )  # fmt: skip


def _open(
    config: TrainConfig, found: Sequence[Surveyed], device: torch.device
) -> tuple[Learner, Tokenizer, Mapping[str, str]]:
    """The model in training with its tokenizer and prompts, a new tokenizer being learned from the sample."""
    if config.vocabulary is not None:
        vocabulary = replace(config.vocabulary, smallest_count=1)
        tokenizer = learn_tokenizer((pair for each in found for pair in each.sample), vocabulary)
        pieces = list(tokenizer.get_vocab())
        # The sample has not so many words as the whole.
        pieces += [f"piece {number}" for number in range(len(pieces), config.vocabulary.size)]
        parts = Parts.of(pieces)
        noise = np.random.default_rng(config.seed).normal(size=(parts.count, max(config.dims)))
        return TokenTable(parts, noise.astype(np.float32)), tokenizer, {}
    assert config.model is not None
    wanted = config.model.tokenizer
    learned = not config.model.folder and not (wanted and wanted.folder)
    settings = config.model
    if learned:
        wanted = wanted or TokenizerConfig()
        settings = replace(settings, tokenizer=replace(wanted, smallest_count=1))
    model = open_start(settings, _texts(config, found), seed=config.seed)
    check_model(config, model)
    embedder = model.embedder
    if learned:  # The sample has not so many pieces as the whole.
        assert settings.tokenizer is not None
        shape = encoder_config(settings, settings.tokenizer.pieces, 0, model.max_tokens)
        embedder.encoder = new_encoder(shape, torch.Generator())
        embedder.encoder.set_dropout(settings.dropout, settings.attention_dropout)
    embedder.encoder.checkpointing = config.checkpointing
    frame = BatchTokenizer(model.tokenizer).frame(model.max_tokens)
    learner = TransformerLearner(
        embedder.to(device), frame, config.token_budget, PRECISIONS[config.precision]
    )
    return learner, model.tokenizer, model.prompts


def _texts(config: TrainConfig, found: Sequence[Surveyed]) -> Iterator[str]:
    for each in found:
        for pair in each.sample:
            yield pair.text_a
            yield pair.text_b
            yield from pair.negatives
    for path in config.documents:
        yield from islice(read_texts(Path(path)), _DOCUMENTS)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Inside the block torch computes with so many threads, as the run will."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
