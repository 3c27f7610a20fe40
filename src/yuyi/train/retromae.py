"""RetroMAE: the sentence embedding is trained to hold so much that a weak decoder can say the whole text.

The encoder reads the text with few words hidden and guesses those (`yuyi.train.mlm`). Its sentence embedding
is all that the decoder has of the text as a whole: each position asks with the embedding and its own place,
looks at the embedding and at a random part of the other positions' tokens, and guesses the token that stands
there. One layer cannot do that well unless the embedding says what the text is about.

Source: Xiao et al. 2022, arXiv 2205.12035, sections 3.1 to 3.3 (enhanced decoding, equations 5 to 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from yuyi.errors import RecipeError
from yuyi.model.attention import find_spans
from yuyi.model.pooling import pool
from yuyi.text.plan import gather, select
from yuyi.train.distributed import ALONE
from yuyi.train.mlm import (
    PassageRunner,
    TokenHead,
    generator_of,
    hidden_of,
    in_chunks,
    push,
    score,
    tensors,
)
from yuyi.train.seeds import seed_of
from yuyi.train.starting.initial import draw_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer
    from torch import Tensor

    from yuyi.model.attention import Run, Spans
    from yuyi.model.config import EncoderConfig
    from yuyi.text.overflow import Frame
    from yuyi.train.config import Task
    from yuyi.train.distributed import World
    from yuyi.train.reading.masking import Decoding, Integers, Masked, Masking
    from yuyi.train.reading.passages import Passages
    from yuyi.train.transformer import TransformerLearner
    from yuyi.types import TokenBatch


# Lots that a share is counted in.
_LOTS = 1 << 24


class Decoder(nn.Module):
    """One transformer layer, from a sentence embedding and some tokens of a text to a state a position."""

    def __init__(self, config: EncoderConfig, longest: int, generator: torch.Generator) -> None:
        """Draw new weights.

        Args:
            config: the encoder's shape, which decides that of the layer.
            longest: positions, that is tokens of the longest text without special tokens.
            generator: what the weights are drawn from.
        """
        super().__init__()
        hidden, inner = config.hidden, config.intermediate
        self.heads = config.heads
        self.positions = nn.Embedding(longest, hidden)
        self.told_norm = nn.LayerNorm(hidden, eps=config.norm_eps)
        self.query = nn.Linear(hidden, hidden)
        self.key_value = nn.Linear(hidden, 2 * hidden)
        self.attention_out = nn.Linear(hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden, eps=config.norm_eps)
        self.up = nn.Linear(hidden, inner)
        self.down = nn.Linear(inner, hidden)
        self.feed_forward_norm = nn.LayerNorm(hidden, eps=config.norm_eps)
        draw_weights(self, generator)

    def forward(self, sentences: Tensor, tokens: Tensor, spans: Spans, seen: Sequence[Tensor]) -> Tensor:
        """(tokens, hidden), a state for each position.

        Args:
            sentences: (rows, hidden) sentence embeddings.
            tokens: (tokens, hidden) rows of the token table for all texts, none hidden.
            spans: the texts' boundaries; each has a token.
            seen: for each run of the spans (rows, length, length) bool, True where position `i` looks at
                token `j`; no position looks at its own.
        """
        lengths = spans.offsets.diff().long()
        rows = torch.repeat_interleave(lengths)
        places = torch.arange(len(tokens), device=tokens.device) - spans.offsets[rows]
        positions = self.positions(places)
        asking = sentences[rows] + positions
        queries = self.query(asking)
        told = self.key_value(self.told_norm(tokens + positions))
        overall = self.key_value(sentences)
        parts, first = [], 0
        for run, sight in zip(spans.runs, seen, strict=True):
            stop = first + run.rows
            parts.append(self._attend(queries, told, overall[first:stop], run, sight))
            first = stop
        states = self.attention_norm(asking + self.attention_out(torch.cat(parts)))
        inner = functional.gelu(self.up(states))
        normed: Tensor = self.feed_forward_norm(states + self.down(inner))
        return normed

    def _attend(self, queries: Tensor, told: Tensor, overall: Tensor, run: Run, sight: Tensor) -> Tensor:
        """(rows * length, hidden): what each position of a run gathers; all see the sentence embedding."""
        own = slice(run.start, run.start + run.rows * run.length)
        q = queries[own].view(run.rows, run.length, self.heads, -1).transpose(1, 2)
        whole = torch.cat([overall[:, None], told[own].view(run.rows, run.length, -1)], dim=1)
        k, v = whole.view(run.rows, run.length + 1, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        visible = functional.pad(sight, (1, 0), value=True)[:, None]
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        return mixed.transpose(1, 2).reshape(len(queries[own]), -1)


def draw_sight(
    rows: Integers, length: int, seen: float, seed: Sequence[int], device: torch.device | str = "cpu"
) -> Tensor:
    """(rows, length, length) bool: which other tokens each position looks at.

    A text's lots are a hash of its number and of the two places, computed where they are used: the same on
    every device, whatever texts are beside it, and without a transfer of what is as large as the attention.

    Args:
        rows: numbers of the texts in their step.
        length: tokens of each.
        seen: share of the tokens.
        seed: names the step.
        device: where the result is wanted.
    """
    keys = [
        np.random.SeedSequence(seed_of("sight", [*seed, row])).generate_state(1)[0] for row in rows.tolist()
    ]
    texts = torch.from_numpy(np.array(keys, dtype=np.uint32).view(np.int32)).to(device)
    pairs = _hashed(torch.arange(length * length, dtype=torch.int32, device=device).view(length, length))
    lots = _hashed(texts[:, None, None] ^ pairs).bitwise_and_(_LOTS - 1)
    sight = lots < round(seen * _LOTS)
    sight.diagonal(dim1=1, dim2=2).fill_(False)
    return sight


def _hashed(numbers: Tensor) -> Tensor:
    """Each int32 mixed so that neighbours have nothing in common; in place.

    Source: the finaliser of MurmurHash3 (Appleby 2008), 32 bits.
    """
    numbers ^= (numbers >> 16).bitwise_and_(0xFFFF)
    numbers *= -0x7A143595
    numbers ^= (numbers >> 13).bitwise_and_(0x7FFFF)
    numbers *= -0x3D4D51CB
    numbers ^= (numbers >> 16).bitwise_and_(0xFFFF)
    return numbers


def retromae_backward(
    learner: TransformerLearner,
    head: TokenHead,
    decoder: Decoder,
    texts: TokenBatch,
    masked: Masked,
    decoding: Decoding,
    *,
    seed: Sequence[int],
    weight: float = 1.0,
    world: World = ALONE,
) -> float:
    """The loss of a step; its gradient is added to the learner's.

    The mean cross entropy of the encoder's hidden tokens, and that of all tokens for the decoder.

    Args:
        learner: encodes the texts.
        head: guesses, for the encoder and for the decoder.
        decoder: says the text from its embedding.
        texts: the texts of the step as they are, special tokens included; the same on every rank.
        masked: the same texts with words hidden.
        decoding: what the decoder is given.
        seed: names this step.
        weight: factor on the loss.
        world: the ranks that share the work.
    """
    embedder, frame = learner.embedder, learner.frame
    table = embedder.encoder.embeddings.tokens.weight
    hidden_share = weight / max(1, len(masked.hidden))
    said_share = weight * decoding.weight / max(1, int(_bodies(texts, frame).offsets[-1]))

    def one(part: Masked, rows: Integers) -> Tensor:
        with learner.autocast():
            ids, offsets = tensors(part.batch, learner)
            states = embedder.encoder(ids, offsets)
            hidden, targets = hidden_of(part, learner)
            guessed = states[hidden]
            loss, gradient = score(learner, head, guessed, targets, hidden_share)

            said, places = tensors(_bodies(select(texts, rows), frame), learner)
            sentences = pool(states, offsets, embedder.pooler.pooling).to(table.dtype)
            spans = find_spans(places)
            sight = _sights(spans, rows, decoding.seen, seed, table.device)
            told = decoder(sentences, functional.embedding(said, table), spans, sight)
            said_loss, said_gradient = score(learner, head, told, said.long(), said_share)
        push([(guessed, gradient), (told, said_gradient)])
        return loss + said_loss

    return in_chunks(one, masked, learner, seed=seed, world=world)


def _sights(
    spans: Spans, rows: Integers, seen: float, seed: Sequence[int], device: torch.device
) -> list[Tensor]:
    """For each run of the spans, what its positions look at."""
    ends = np.cumsum([run.rows for run in spans.runs])
    parts = np.split(rows, ends[:-1])
    return [
        draw_sight(part, run.length, seen, seed, device) for part, run in zip(parts, spans.runs, strict=True)
    ]


def _bodies(texts: TokenBatch, frame: Frame) -> TokenBatch:
    """The texts without their special tokens."""
    return gather(texts.ids, texts.offsets[:-1] + len(frame.prefix), texts.lengths - frame.specials)


class RetroRunner(PassageRunner):
    """RetroMAE as a task of a stage.

    Attributes:
        head: what guesses; trained with the model, and left behind with the stage.
        decoder: likewise.
    """

    def __init__(
        self,
        task: Task,
        learner: TransformerLearner,
        passages: Passages,
        tokenizer: Tokenizer,
        masking: Masking,
        decoding: Decoding,
        seed: Sequence[int],
        world: World = ALONE,
    ) -> None:
        """As `PassageRunner`, with a new head and a new decoder.

        Raises:
            RecipeError: the rows are too long for the model, or it has several poolings.
            ModelError: the tokenizer has no mask token.
        """
        super().__init__(task, learner, passages, tokenizer, masking, seed, world)
        pooling = learner.embedder.pooler.pooling
        if len(pooling) != 1:
            raise RecipeError(
                f"retromae: the model's pooling is {', '.join(pooling)}, and the decoder takes one vector of "
                "the encoder's width. Choose one pooling, or the objective mlm."
            )
        config, generator = learner.embedder.encoder.config, generator_of(seed)
        self.head = TokenHead(config, generator)
        self.decoder = Decoder(config, self.sampler.longest, generator)
        self._decoding = decoding
        self._trained("head", self.head)
        self._trained("decoder", self.decoder)

    def _backward(self, texts: TokenBatch, masked: Masked, seed: Sequence[int]) -> float:
        return retromae_backward(
            self._learner,
            self.head,
            self.decoder,
            texts,
            masked,
            self._decoding,
            seed=seed,
            weight=self.task.weight,
            world=self._world,
        )
