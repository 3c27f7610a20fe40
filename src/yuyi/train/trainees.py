"""What a run makes, a transformer or a token table: from what it begins with to the saved folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from yuyi.artifacts import publish_folder
from yuyi.text.overflow import Frame
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.text.tokenizer_folder import load_tokenizer
from yuyi.train.checks import check_model
from yuyi.train.planning.survey import read_entries
from yuyi.train.reading.passages import read_texts
from yuyi.train.record import write_record
from yuyi.train.starting.model_config import ModelConfig
from yuyi.train.starting.save import save_model
from yuyi.train.starting.start import open_start
from yuyi.train.starting.vocabulary import learn_tokenizer
from yuyi.train.static import finished_table, first_table, pieces_of
from yuyi.train.table import TokenTable
from yuyi.train.teaching.teacher import teacher_folder, teacher_words
from yuyi.train.transformer import TransformerLearner
from yuyi.training_record import read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from yuyi.train.materials import Materials
    from yuyi.train.settings import TrainConfig

    WriteTable = Callable[[Path, Tokenizer, NDArray[Any]], None]

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_TOKENIZER = "tokenizer.json"


class TransformerTrainee:
    """A transformer on its way through a run.

    Attributes:
        model: its weights, which training changes in place, and all that makes vectors of texts with them.
        tokenizer: cuts texts into pieces.
        frame: the special tokens around a text, and the most tokens that it may have.
        dim: length of a vector.
        prompts: texts that may stand before an input, by name.
        device: where it computes.
    """

    def __init__(self, config: TrainConfig, start: Path, device: torch.device) -> None:
        """Open what `begin` put down in `start`."""
        assert config.model is not None
        dropout, attention_dropout = config.model.dropout, config.model.attention_dropout
        self.model = open_start(
            ModelConfig(folder=str(start), dropout=dropout, attention_dropout=attention_dropout)
        )
        self.model.embedder.encoder.checkpointing = config.checkpointing
        self.tokenizer = self.model.tokenizer
        self.frame = BatchTokenizer(self.tokenizer).frame(self.model.max_tokens)
        self.dim = self.model.embedder.dim
        self.prompts = self.model.prompts
        self.device = device
        self._config = config

    @staticmethod
    def begin(config: TrainConfig, start: Path) -> None:
        """Put down the model that training begins with, in place of what a killed run may have left.

        Raises:
            RecipeError: settings and model do not fit each other.
            InputError: a file is missing, damaged or empty.
            ModelError: the model's folder cannot be used.
        """
        assert config.model is not None
        before = read_record(Path(config.model.folder)) if config.model.folder else None
        model = open_start(config.model, corpus_texts(config), seed=config.seed)
        check_model(config, model)
        save_model(start, model, record=before)

    def learner(self, materials: Materials) -> TransformerLearner:
        """The model in training."""
        embedder, precision = self.model.embedder.to(self.device), PRECISIONS[self._config.precision]
        return TransformerLearner(embedder, self.frame, self._config.token_budget, precision)

    def save(self, folder: Path, record: Mapping[str, Any] | None = None) -> None:
        """Write the model as it is now; `record` tells how it was made, as `training_record` gives it."""
        dims = tuple(self._config.dims)
        card: dict[str, Any] = {}
        if self._config.license:
            card["license"] = self._config.license.lower()
        if self._config.languages:
            card["language"] = list(self._config.languages)
        save_model(folder, self.model, dims=dims if len(dims) > 1 else (), card=card, record=record)


class TableTrainee:
    """A token table on its way through a run; its attributes are those of `TransformerTrainee`."""

    def __init__(self, config: TrainConfig, start: Path, write: WriteTable) -> None:
        """Open the tokenizer that `begin` put down in `start`; `write` makes a model folder of a table."""
        self.tokenizer = load_tokenizer(start / _TOKENIZER)
        self.frame = Frame()
        self.dim = max(config.dims)
        self.prompts: dict[str, str] = {}
        self.device = torch.device("cpu")
        self._pieces = pieces_of(self.tokenizer)
        self._seed = config.seed
        self._write = write
        self._table: TokenTable | None = None

    @staticmethod
    def begin(config: TrainConfig, start: Path) -> None:
        """Count the vocabulary, with the first words of the teacher's where the settings ask for them.

        Raises:
            RecipeError: the teacher has no words to take.
            InputError: a file is missing, damaged or empty.
        """
        assert config.vocabulary is not None
        words: list[str] = []
        if config.vocabulary.lexicon and config.teacher is not None:
            words = teacher_words(teacher_folder(config.teacher))
        tokenizer = learn_tokenizer(read_entries(config), config.vocabulary, words)
        with publish_folder(start) as folder:
            tokenizer.save(str(folder / _TOKENIZER), pretty=False)

    def learner(self, materials: Materials) -> TokenTable:
        """The table in training; common pieces begin with short rows, taught ones with the teacher's.

        A teacher of other dimensions, whose similarities alone are followed, gives none.
        """
        taught = materials.teacher() if materials.has_teacher else None
        fitting = taught is not None and taught.vectors.shape[1] == self.dim
        words = (taught.texts, taught.vectors) if taught is not None and fitting else None
        parts, rows = first_table(self._pieces, materials.pairs(), self.dim, self._seed, words)
        self._table = TokenTable(parts, rows)
        return self._table

    def save(self, folder: Path, record: Mapping[str, Any] | None = None) -> None:
        """Write the table as it is now; `record` is as of `TransformerTrainee`."""
        assert self._table is not None
        with publish_folder(folder) as temporary:
            self._write(temporary, self.tokenizer, finished_table(self._table, self._pieces))
            if record is not None:
                write_record(temporary, record)


Trainee = TransformerTrainee | TableTrainee


def begin(config: TrainConfig, start: Path) -> None:
    """Put down in `start` what training begins with; raises as the trainee's own `begin`."""
    (TransformerTrainee if config.vocabulary is None else TableTrainee).begin(config, start)


def open_trainee(config: TrainConfig, start: Path, device: torch.device, write: WriteTable | None) -> Trainee:
    """What `begin` put down in `start`; a table needs `write`, which makes a model folder of it."""
    if config.vocabulary is None:
        return TransformerTrainee(config, start, device)
    if write is None:
        raise ValueError("a token table needs write_table, which writes it into an empty folder")
    return TableTrainee(config, start, write)


def corpus_texts(config: TrainConfig) -> Iterator[str]:
    """Every text of the files, for a tokenizer to be trained on."""
    for pair in read_entries(config):
        yield pair.text_a
        yield pair.text_b
        yield from pair.negatives
    for path in config.documents:
        yield from read_texts(Path(path))
