"""`yuyi train plan`: what a run would take, found out on a sample of its data and for a second on its device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.checks import check_data, check_model
from yuyi.train.corpus import read_sources
from yuyi.train.estimate import Data, estimate, measure
from yuyi.train.initial import encoder_config, new_encoder
from yuyi.train.model_config import TokenizerConfig
from yuyi.train.passages import read_texts
from yuyi.train.routes import routed
from yuyi.train.run import PRECISIONS, choose_device, new_table
from yuyi.train.start import TextModel, open_start
from yuyi.train.survey import Surveyed, survey, survey_documents
from yuyi.train.transformer import TransformerLearner
from yuyi.train.vocabulary import learn_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from yuyi.train.config import Course
    from yuyi.train.estimate import Estimate, Speed
    from yuyi.train.learner import Learner
    from yuyi.train.settings import TrainConfig
    from yuyi.train.sources import Source


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
    check_data(config, found)
    learner, tokenizer, prompts = _open(config, found)
    batches = BatchTokenizer(tokenizer)
    documents = survey_documents(config, batches) if config.documents else (0, 0)
    pairs = [pair for each in found for pair in each.sample]
    sources = read_sources(pairs, tokenizer, config.longest, smallest=1)
    rows = {(each.name, each.kind): each.rows for each in found}
    course = _with_shares(config, routed(config, sources, prompts), sources, rows)
    data = Data(sources, rows, *documents, hidden=config.masking.share)
    lengths = [np.concatenate([each.queries.tokens.lengths, each.documents.tokens.lengths]) for each in sources]
    if not lengths:
        lengths = [np.full(8, documents[1] // max(1, documents[0]))]
    frame = learner.frame
    fitted = np.minimum(np.concatenate(lengths) + frame.specials, frame.max_tokens or 1 << 30)
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
        estimate=estimate(course, learner, data, speed, ranks),
    )  # fmt: skip
