"""Masked language modelling: hidden words are guessed from the words around them.

Only hidden tokens get scores, and only a block of them at a time, since a score for each piece of a large
vocabulary takes more memory than the encoder does. Chunks and blocks change nothing: the loss is a sum over
hidden tokens divided by their number in the whole step.

Source: Devlin et al. 2018, arXiv 1810.04805, section 3.1; a share of 0.3 as in Zhang et al. 2024 (mGTE),
arXiv 2407.19669, section 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from yuyi.errors import RecipeError
from yuyi.text.overflow import fit
from yuyi.text.plan import spans
from yuyi.train.batches import Sampler
from yuyi.train.distributed import ALONE
from yuyi.train.gradcache import replayed
from yuyi.train.reading.masking import find_pieces, mask
from yuyi.train.seeds import seed_of
from yuyi.train.starting.initial import draw_weights
from yuyi.train.tasks import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer
    from torch import Tensor

    from yuyi.model.config import EncoderConfig
    from yuyi.text.overflow import Frame
    from yuyi.train.config import Task
    from yuyi.train.distributed import World
    from yuyi.train.reading.masking import Masked, Masking
    from yuyi.train.reading.passages import Passages
    from yuyi.train.transformer import TransformerLearner
    from yuyi.types import TokenBatch

    Flags = NDArray[np.bool_]
    Integers = NDArray[np.int64]

# Tokens that have a score for each piece of the vocabulary at the same time.
_SCORED = 1_024


class TokenHead(nn.Module):
    """States to a score for each piece: dense layer, GELU, norm, the encoder's own token table, bias."""

    def __init__(self, config: EncoderConfig, generator: torch.Generator) -> None:
        """Draw new weights from `generator`, for an encoder of this shape."""
        super().__init__()
        self.dense = nn.Linear(config.hidden, config.hidden)
        self.norm = nn.LayerNorm(config.hidden, eps=config.norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary))
        draw_weights(self, generator)

    def forward(self, states: Tensor, table: Tensor) -> Tensor:
        """(tokens, pieces) from states (tokens, hidden) and the token table (pieces, hidden)."""
        return functional.linear(self.norm(functional.gelu(self.dense(states))), table, self.bias)


def score(
    learner: TransformerLearner, head: TokenHead, states: Tensor, targets: Tensor, share: float
) -> tuple[Tensor, Tensor]:
    """The cross entropy of guessing `targets`, summed and scaled, and its gradient at `states`.

    Gradients are added to the parameters of the head and to the token table on the way; all of them are as
    many times as large as the learner's scale says.

    Args:
        learner: its token table gives the pieces their scores.
        head: what the states pass through before.
        states: (tokens, hidden), what the guesses are made from.
        targets: (tokens,) int64, the pieces to be guessed.
        share: factor on the sum.

    Returns:
        A scalar without graph, and (tokens, hidden).
    """
    table = learner.embedder.encoder.embeddings.tokens.weight
    leaf = states.detach().requires_grad_()
    total = states.new_zeros((), dtype=torch.promote_types(states.dtype, torch.float32))
    for start in range(0, len(targets), _SCORED):
        block = slice(start, start + _SCORED)
        scores = head(leaf[block], table)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        loss = functional.cross_entropy(scores, targets[block], reduction="sum") * share
        (loss * learner.scale).backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total, torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def push(pushed: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Take the graphs back from tensors and their gradients; what is frozen as a whole has no graph."""
    able = [(tensor, gradient) for tensor, gradient in pushed if tensor.requires_grad]
    if able:
        torch.autograd.backward([tensor for tensor, _ in able], [gradient for _, gradient in able])


def masked_backward(
    learner: TransformerLearner,
    head: TokenHead,
    masked: Masked,
    *,
    seed: Sequence[int],
    weight: float = 1.0,
    world: World = ALONE,
) -> float:
    """The loss of a step, the mean cross entropy of its hidden tokens; adds its gradient to the learner's.

    Args:
        learner: encodes the texts.
        head: guesses.
        masked: the texts of the step, special tokens included; the same on every rank.
        seed: names this step; each chunk draws its dropout from it.
        weight: factor on the loss.
        world: the ranks that share the work.
    """
    encoder = learner.embedder.encoder
    share = weight / max(1, len(masked.hidden))

    def one(part: Masked, rows: Integers) -> Tensor:
        with learner.autocast():
            states = encoder(*tensors(part.batch, learner))
            hidden, targets = hidden_of(part, learner)
            guessed = states[hidden]
            loss, gradient = score(learner, head, guessed, targets, share)
        push([(guessed, gradient)])
        return loss

    return in_chunks(one, masked, learner, seed=seed, world=world)


def in_chunks(
    one: Callable[[Masked, Integers], Tensor],
    masked: Masked,
    learner: TransformerLearner,
    *,
    seed: Sequence[int],
    world: World,
) -> float:
    """The sum over all chunks and ranks of what `one` gives for a chunk.

    Args:
        one: the loss of some texts, from these and their numbers; adds its gradient by itself.
        masked: the texts of the step.
        learner: its token budget bounds a chunk.
        seed: names this step.
        world: the ranks that share the chunks.
    """
    total = learner.embedder.encoder.embeddings.tokens.weight.new_zeros(())
    for number, rows in world.chunks(masked.batch.lengths, learner.token_budget):
        with replayed((*seed, number), total.device):
            loss = one(masked.select(rows), rows)
        total += loss
    world.sum_(total)
    return total.item()


def tensors(batch: TokenBatch, learner: TransformerLearner) -> Iterator[Tensor]:
    """The ids (tokens,) and offsets (rows + 1,) of a batch, where the learner has its weights."""
    device = learner.embedder.encoder.embeddings.tokens.weight.device
    return (torch.from_numpy(part).to(device) for part in (batch.ids, batch.offsets))


def hidden_of(masked: Masked, learner: TransformerLearner) -> Iterator[Tensor]:
    """The places (hidden tokens,) and targets (hidden tokens,) int64, where the learner has its weights."""
    device = learner.embedder.encoder.embeddings.tokens.weight.device
    return (torch.from_numpy(part).to(device, torch.int64) for part in (masked.hidden, masked.targets))


class PassageSampler:
    """Draws rows of a corpus, each once before any comes again, with special tokens around them."""

    def __init__(self, passages: Passages, frame: Frame, batch: int, seed: Sequence[int]) -> None:
        """Take the rows.

        Args:
            passages: the corpus.
            frame: the model's special tokens and its limit.
            batch: rows in a batch.
            seed: names this sampler.

        Raises:
            RecipeError: the rows are too long for the model.
        """
        self.longest = int(np.diff(passages.offsets).max())
        if frame.max_tokens is not None and self.longest + frame.specials > frame.max_tokens:
            raise RecipeError(
                f"rows of up to {self.longest} tokens: with {frame.specials} special tokens they are longer "
                f"than the {frame.max_tokens} that the model takes. Lower the longest of the passages to "
                f"{frame.max_tokens - frame.specials}."
            )
        self._passages = passages
        self._frame = frame
        self._sampler = Sampler([len(passages)], [1.0], batch, seed)

    def draw(self) -> tuple[Integers, TokenBatch, Flags]:
        """The numbers of the next rows, these with special tokens, and which of their tokens begin a word."""
        _, rows = self._sampler.draw()
        texts, begins = self._passages.take(rows)
        framed = fit(texts, self._frame, "error").batch
        flags = np.ones(len(framed.ids), dtype=bool)
        flags[spans(framed.offsets[:-1] + len(self._frame.prefix), texts.lengths)] = begins
        return rows, framed, flags

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON values."""
        return self._sampler.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._sampler.restore(state)


class PassageRunner(ABC):
    """A task that hides words in rows of a corpus; see `yuyi.train.tasks.Runner`.

    Attributes:
        task: what it does.
        size: of the last batch.
        sampler: draws the rows.
    """

    def __init__(
        self,
        task: Task,
        learner: TransformerLearner,
        passages: Passages,
        tokenizer: Tokenizer,
        masking: Masking,
        seed: Sequence[int],
        world: World = ALONE,
    ) -> None:
        """Take the corpus.

        Args:
            task: its batch is the number of rows of a step.
            learner: what is trained.
            passages: the corpus.
            tokenizer: the one that the corpus was cut with.
            masking: how much is hidden.
            seed: names this task in its stage.
            world: the ranks that share the work.

        Raises:
            RecipeError: the rows are too long for the model.
            ModelError: the tokenizer has no mask token.
        """
        self.task = task
        self.size = Size()
        self.sampler = PassageSampler(passages, learner.frame, task.batch, seed)
        self._learner = learner
        self._tokenizer = tokenizer
        self._pieces = find_pieces(tokenizer)
        self._masking = masking
        self._world = world
        self._number = seed[-1]
        self._last: tuple[Integers, TokenBatch] | None = None

    def run(self, seed: Sequence[int]) -> float:
        """The loss of the next batch, as `Runner.run`."""
        rows, texts, begins = self.sampler.draw()
        generator = np.random.default_rng(seed_of("mask", seed))
        masked = mask(texts, begins, self._pieces, self._masking, generator)
        self.size = Size(len(texts), len(texts), len(texts.ids))
        self._last = rows, masked.batch
        return self._backward(texts, masked, seed)

    def describe(self) -> dict[str, Any]:
        """As `Runner.describe`; the texts have their words hidden."""
        if self._last is None:
            return {}
        rows, batch = self._last
        parts = np.split(batch.ids, batch.offsets[1:-1])
        texts = [self._tokenizer.decode(part.tolist(), skip_special_tokens=False) for part in parts]
        return {"source": "documents", "rows": rows.tolist(), "texts": texts}

    def state(self) -> dict[str, Any]:
        """As `Runner.state`."""
        return self.sampler.state()

    def tensors(self) -> dict[str, Tensor]:
        """As `Runner.tensors`."""
        return {}

    def restore(self, state: dict[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
        """As `Runner.restore`."""
        self.sampler.restore(state)

    def _trained(self, name: str, module: nn.Module) -> None:
        """Have the learner train a new module for as long as the stage lasts."""
        self._learner.extra(f"{self.task.objective}_{self._number}_{name}", module)

    @abstractmethod
    def _backward(self, texts: TokenBatch, masked: Masked, seed: Sequence[int]) -> float:
        """The loss of texts of which some words are hidden; its gradient is added to the learner's."""


class MaskedRunner(PassageRunner):
    """Masked language modelling as a task of a stage.

    Attributes:
        head: what guesses; trained with the model, and left behind with the stage.
    """

    def __init__(
        self,
        task: Task,
        learner: TransformerLearner,
        passages: Passages,
        tokenizer: Tokenizer,
        masking: Masking,
        seed: Sequence[int],
        world: World = ALONE,
    ) -> None:
        """As `PassageRunner`, with a new head."""
        super().__init__(task, learner, passages, tokenizer, masking, seed, world)
        self.head = TokenHead(learner.embedder.encoder.config, generator_of(seed))
        self._trained("head", self.head)

    def _backward(self, texts: TokenBatch, masked: Masked, seed: Sequence[int]) -> float:
        return masked_backward(
            self._learner, self.head, masked, seed=seed, weight=self.task.weight, world=self._world
        )


def generator_of(seed: Sequence[int]) -> torch.Generator:
    """A generator for the first weights of what is trained beside the model."""
    state = int(np.random.SeedSequence(seed_of("weights", seed)).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state >> 1)
