from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from yuyi.errors import RecipeError
from yuyi.model.attention import find_spans
from yuyi.model.embedder import load_embedder
from yuyi.model.pooling import pool
from yuyi.pipeline import read_pipeline
from yuyi.records import Document, write_documents
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.text.tokenizer_folder import read_tokenizer
from yuyi.train.config import Stage, Task
from yuyi.train.distributed import World
from yuyi.train.mlm import TokenHead, masked_backward
from yuyi.train.reading.masking import Decoding, Masked, Masking, find_pieces, mask
from yuyi.train.reading.passages import PassageConfig, Passages, read_passages
from yuyi.train.retromae import Decoder, RetroRunner, draw_sight, retromae_backward
from yuyi.train.transformer import TransformerLearner
from yuyi.types import TokenBatch

TINY = Path(__file__).parent.parent / "tiny"
TEXTS = (
    "今天天气很好，我们去公园散步。",
    "How do I renew my passport?",
    "语义搜索把文字变成向量，然后比较向量之间的余弦。",
    "The weather is nice today, we walk in the park.",
    "花呗分期后芝麻分一直不涨，借呗怎么还款？",
    "向量数据库保存这些向量。",
    "数据库向量保存这些向量。",
)
TASK = Task(objective="retromae", batch=4)
STAGE = Stage(name="retromae", steps=40, tasks=(TASK,), learning_rate=0.005, weight_decay=0.0)


class Apart(World):
    """A rank whose work is added up by the test itself."""

    def sum_(self, tensor: torch.Tensor) -> None:
        pass


def open_learner(
    folder: str = "bert-zh", budget: int | None = None, pooling: str | None = None
) -> TransformerLearner:
    pipeline = read_pipeline(TINY / folder, pooling=pooling)
    frame = BatchTokenizer(read_tokenizer(pipeline.transformer)).frame(96)
    learner = TransformerLearner(load_embedder(pipeline), frame)
    learner.token_budget = budget
    learner.begin(STAGE)
    return learner


def texts_of(folder: str = "bert-zh", texts: tuple[str, ...] = TEXTS) -> tuple[TokenBatch, Masked]:
    tokenizer = read_tokenizer(TINY / folder)
    encodings = tokenizer.encode_batch(list(texts))
    ids = np.array([token for encoding in encodings for token in encoding.ids], dtype=np.int32)
    batch = TokenBatch(ids, np.cumsum([0, *map(len, encodings)]))
    begins = np.random.default_rng(0).random(len(ids)) < 0.7
    return batch, mask(batch, begins, find_pieces(tokenizer), Masking(), np.random.default_rng(1))


def parts_of(learner: TransformerLearner, spread: float = 0.3) -> tuple[TokenHead, Decoder]:
    """A head and a decoder in float64, their weights so large that every part of them matters."""
    generator = torch.Generator().manual_seed(0)
    config = learner.embedder.encoder.config
    head, decoder = TokenHead(config, generator), Decoder(config, 94, generator)
    for name, part in (("head", head), ("decoder", decoder)):
        for parameter in part.parameters():
            parameter.data += spread * torch.randn(parameter.shape, generator=generator)
        learner.extra(name, part.double())
    learner.embedder.double()
    return head, decoder


def gradients(*modules: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = {
        f"{number}.{name}": parameter.grad.clone()
        for number, module in enumerate(modules)
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    assert found and sum(bool(gradient.abs().max() > 0) for gradient in found.values()) > len(found) // 2
    return found


def literal_decoder(
    decoder: Decoder, sentence: torch.Tensor, tokens: torch.Tensor, sight: torch.Tensor
) -> torch.Tensor:
    """(length, hidden) of one text: position by position, head by head and key by key."""
    hidden = len(sentence)
    size = hidden // decoder.heads
    key, value = decoder.key_value.weight.chunk(2)
    key_bias, value_bias = decoder.key_value.bias.chunk(2)
    states = []
    for i in range(len(tokens)):
        query = sentence + decoder.positions.weight[i]
        told = [sentence]
        for j in range(len(tokens)):
            if j != i and sight[i, j]:
                told.append(decoder.told_norm(tokens[j] + decoder.positions.weight[j]))
        mixed = []
        for h in range(decoder.heads):
            own = slice(h * size, (h + 1) * size)
            asked = (decoder.query.weight @ query + decoder.query.bias)[own]
            scores = [((key @ x + key_bias)[own] @ asked) / math.sqrt(size) for x in told]
            shares = torch.stack(scores).softmax(0)
            mixed.append(
                sum(share * (value @ x + value_bias)[own] for share, x in zip(shares, told, strict=True))
            )
        state = decoder.attention_norm(query + decoder.attention_out(torch.cat(mixed)))
        inner = decoder.down(functional.gelu(decoder.up(state)))
        states.append(decoder.feed_forward_norm(state + inner))
    return torch.stack(states)


@pytest.mark.parametrize("seen", [0.0, 0.5])
def test_decoder_is_that_of_a_literal_loop(seen: float) -> None:
    learner = open_learner()
    _, decoder = parts_of(learner)
    lengths = [3, 3, 7, 1, 5]
    generator = torch.Generator().manual_seed(1)
    sentences = torch.randn(5, 32, generator=generator, dtype=torch.float64)
    tokens = torch.randn(sum(lengths), 32, generator=generator, dtype=torch.float64)
    spans = find_spans(torch.tensor([0, *lengths]).cumsum(0))
    sight = [
        draw_sight(np.arange(first, first + run.rows), run.length, seen, [7])
        for first, run in zip((0, 2, 3, 4), spans.runs, strict=True)
    ]
    found = decoder(sentences, tokens, spans, sight).split(lengths)
    flat = [each for run in sight for each in run]
    for row, own in enumerate(tokens.split(lengths)):
        wanted = literal_decoder(decoder, sentences[row], own, flat[row])
        torch.testing.assert_close(found[row], wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("folder", ["bert-zh", "gte-new"])
def test_loss_is_that_of_the_encoder_and_of_the_literal_decoder(folder: str) -> None:
    learner = open_learner(folder)
    texts, masked = texts_of(folder, ("今天天气很好。", "I walk in the park?", "语义搜索把文字变成向量。"))
    head, decoder = parts_of(learner)
    decoding = Decoding(seen=0.4, weight=0.7)
    loss = retromae_backward(learner, head, decoder, texts, masked, decoding, seed=[3])
    found = gradients(learner.embedder, head, decoder)
    for part in (learner.embedder, head, decoder):
        part.zero_grad()

    embedder = learner.embedder
    table = embedder.encoder.embeddings.tokens.weight
    offsets = torch.from_numpy(texts.offsets)
    states = embedder.encoder(torch.from_numpy(masked.batch.ids), offsets)
    scores = head(states[torch.from_numpy(masked.hidden)], table)
    wanted = functional.cross_entropy(scores, torch.from_numpy(masked.targets).long())
    sentences = pool(states, offsets, embedder.pooler.pooling)
    said = []
    for row, (start, stop) in enumerate(zip(texts.offsets, texts.offsets[1:], strict=False)):
        ids = torch.from_numpy(texts.ids[start + 1 : stop - 1]).long()
        (sight,) = draw_sight(np.array([row]), len(ids), 0.4, [3])
        told = literal_decoder(decoder, sentences[row], table[ids], sight)
        said.append(functional.cross_entropy(head(told, table), ids, reduction="none"))
    wanted = wanted + 0.7 * torch.cat(said).mean()
    wanted.backward()
    assert loss == pytest.approx(wanted.item(), rel=1e-10)
    for name, gradient in gradients(learner.embedder, head, decoder).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(("budget", "ranks"), [(1, 1), (40, 1), (30, 2), (None, 3)])
def test_neither_chunks_nor_ranks_change_anything(budget: int | None, ranks: int) -> None:
    texts, masked = texts_of()
    found = []
    for limit, size in ((None, 1), (budget, ranks)):
        learner = open_learner(budget=limit)
        head, decoder = parts_of(learner)
        loss = sum(
            retromae_backward(
                learner, head, decoder, texts, masked, Decoding(), seed=[5], world=Apart(rank, size)
            )
            for rank in range(size)
        )
        found.append((loss, gradients(learner.embedder, head, decoder)))
    (wanted, plain), (loss, chunked) = found
    assert loss == pytest.approx(wanted, rel=1e-12)
    assert plain.keys() == chunked.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(chunked[name], gradient, rtol=1e-10, atol=1e-12)


def test_the_decoder_teaches_the_embedding() -> None:
    """Without the encoder's own loss the whole gradient of the encoder comes through the embedding."""
    learner = open_learner()
    head, decoder = parts_of(learner)
    texts, masked = texts_of()
    nothing = replace(masked, hidden=masked.hidden[:0], targets=masked.targets[:0])
    retromae_backward(learner, head, decoder, texts, nothing, Decoding(seen=0), seed=[5])
    layers = gradients(learner.embedder.encoder.layers)
    assert all(gradient.abs().max() > 0 for name, gradient in layers.items() if "weight" in name)


def test_sight_leaves_out_the_own_token_and_depends_on_the_text_alone() -> None:
    together = draw_sight(np.arange(50), 40, 0.3, [1, 2])
    assert not together.diagonal(dim1=1, dim2=2).any()
    assert together.sum().item() / (50 * 40 * 39) == pytest.approx(0.3, abs=0.01)
    assert torch.equal(draw_sight(np.array([7, 3]), 40, 0.3, [1, 2]), together[[7, 3]])
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(draw_sight(np.array([7]), 40, 0.3, [1, 3]), together[[7]])


def corpus(folder: Path) -> Passages:
    file = folder / "a.parquet"
    write_documents(file, [Document("made", str(n), "", text, "zh") for n, text in enumerate(TEXTS)])
    return read_passages([file], read_tokenizer(TINY / "bert-zh"), PassageConfig(longest=30), folder / "rows")


def runner_of(learner: TransformerLearner, passages: Passages) -> RetroRunner:
    tokenizer = read_tokenizer(TINY / "bert-zh")
    return RetroRunner(TASK, learner, passages, tokenizer, Masking(), Decoding(), [0, 0, 1])


def test_the_loss_falls_and_a_run_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    passages = corpus(tmp_path)
    learner = open_learner()
    runner = runner_of(learner, passages)
    losses = []
    for step in range(25):
        losses.append(runner.run([0, 0, step]))
        learner.step(STAGE.learning_rate, World())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    weights = {name: tensor.clone() for name, tensor in learner.weights().items()}
    moments = {name: tensor.clone() for name, tensor in learner.moments().items()}
    state = runner.state()
    assert any(name.startswith("retromae_1_decoder.") for name in weights)

    other = open_learner()
    again = runner_of(other, passages)
    other.restore(weights, moments)
    again.restore(state)
    for step in range(25, 28):
        assert runner.run([0, 0, step]) == again.run([0, 0, step])
        learner.step(0.01, World()), other.step(0.01, World())
    for name, tensor in learner.weights().items():
        assert torch.equal(tensor, other.weights()[name])


def test_the_encoders_part_is_masked_language_modelling() -> None:
    texts, masked = texts_of()
    losses = []
    for weight in (1e-12, None):
        learner = open_learner()
        head, decoder = parts_of(learner)
        if weight is None:
            losses.append(masked_backward(learner, head, masked, seed=[1]))
        else:
            decoding = Decoding(weight=weight)
            losses.append(retromae_backward(learner, head, decoder, texts, masked, decoding, seed=[1]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.parametrize("budget", [None, 40])
def test_products_in_bfloat16_come_near(budget: int | None) -> None:
    texts, masked = texts_of()
    found = []
    for precision in (torch.float32, torch.bfloat16):
        learner = open_learner(budget=budget)
        learner = TransformerLearner(learner.embedder, learner.frame, 1_000, precision)
        learner.token_budget = budget
        learner.begin(STAGE)
        head, decoder = (part.float() for part in parts_of(learner, spread=0.05))
        learner.embedder.float()
        loss = retromae_backward(learner, head, decoder, texts, masked, Decoding(), seed=[5])
        flat = torch.cat([value.flatten() for value in gradients(learner.embedder, head, decoder).values()])
        assert flat.dtype == torch.float32
        found.append((loss, flat))
    (wanted, exact), (loss, near) = found
    assert loss == pytest.approx(wanted, rel=0.01) and loss != wanted
    assert functional.cosine_similarity(exact, near, dim=0) > 0.99


def test_several_poolings_are_refused(tmp_path: Path) -> None:
    learner = open_learner()
    learner.embedder.pooler.pooling = ("cls", "mean")
    with pytest.raises(RecipeError, match="pooling is cls, mean, and the decoder takes one vector"):
        runner_of(learner, corpus(tmp_path))
