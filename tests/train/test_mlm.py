from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from yuyi.errors import RecipeError
from yuyi.model.embedder import load_embedder
from yuyi.model.names import NAMINGS
from yuyi.pipeline import read_pipeline
from yuyi.records import Document, write_documents
from yuyi.text.overflow import Frame
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.text.tokenizer_folder import read_tokenizer
from yuyi.train import mlm
from yuyi.train.config import Stage, Task
from yuyi.train.distributed import World
from yuyi.train.mlm import MaskedRunner, TokenHead, masked_backward
from yuyi.train.reading.masking import Masked, Masking, find_pieces, mask
from yuyi.train.reading.passages import PassageConfig, Passages, read_passages
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
)
TASK = Task(objective="mlm", batch=4)
STAGE = Stage(name="mlm", steps=40, tasks=(TASK,), learning_rate=0.005, weight_decay=0.0)


class Apart(World):
    """A rank whose work is added up by the test itself."""

    def sum_(self, tensor: torch.Tensor) -> None:
        pass


def open_learner(
    folder: str = "bert-zh", budget: int | None = None, max_tokens: int | None = 96
) -> TransformerLearner:
    pipeline = read_pipeline(TINY / folder, pooling="mean" if folder == "bert-plain" else None)
    frame = BatchTokenizer(read_tokenizer(pipeline.transformer)).frame(max_tokens)
    learner = TransformerLearner(load_embedder(pipeline), frame)
    learner.token_budget = budget
    learner.begin(STAGE)
    return learner


def masked_texts(folder: str = "bert-zh", share: float = 0.3) -> Masked:
    tokenizer = read_tokenizer(TINY / folder)
    encodings = tokenizer.encode_batch(list(TEXTS))
    ids = np.array([token for encoding in encodings for token in encoding.ids], dtype=np.int32)
    texts = TokenBatch(ids, np.cumsum([0, *map(len, encodings)]))
    begins = np.random.default_rng(0).random(len(ids)) < 0.7
    return mask(texts, begins, find_pieces(tokenizer), Masking(share=share), np.random.default_rng(1))


def head_of(learner: TransformerLearner, name: str = "head") -> TokenHead:
    head = TokenHead(learner.embedder.encoder.config, torch.Generator().manual_seed(0))
    learner.extra(name, head)
    return head


def gradients(*modules: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = {
        f"{number}.{name}": parameter.grad.clone()
        for number, module in enumerate(modules)
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    assert found and all(gradient.abs().max() > 0 for gradient in found.values())
    return found


def corpus(folder: Path, *texts: str) -> Passages:
    file = folder / "a.parquet"
    write_documents(file, [Document("made", str(n), "", text, "zh") for n, text in enumerate(texts)])
    return read_passages([file], read_tokenizer(TINY / "bert-zh"), PassageConfig(longest=30), folder / "rows")


def test_loss_and_gradients_are_those_of_transformers() -> None:
    peer = transformers.BertForMaskedLM.from_pretrained(TINY / "bert-plain", dtype=torch.float64)
    learner, masked = open_learner("bert-plain"), masked_texts("bert-plain")
    head = head_of(learner)
    learned = peer.cls.predictions
    # This folder's layers have the tanh approximation, and in transformers so has the head.
    learned.transform.transform_act_fn = torch.nn.GELU()
    head.load_state_dict(
        {
            **{f"dense.{name}": value for name, value in learned.transform.dense.state_dict().items()},
            **{f"norm.{name}": value for name, value in learned.transform.LayerNorm.state_dict().items()},
            "bias": learned.bias,
        }
    )
    learner.embedder.double(), head.double()
    loss = masked_backward(learner, head, masked, seed=[0])

    rows, longest = len(masked.batch), int(masked.batch.lengths.max())
    ids, labels, attended = (torch.full((rows, longest), fill) for fill in (0, -100, 0))
    for row, (start, stop) in enumerate(zip(masked.batch.offsets, masked.batch.offsets[1:], strict=False)):
        ids[row, : stop - start] = torch.from_numpy(masked.batch.ids[start:stop])
        attended[row, : stop - start] = 1
        own = (masked.hidden >= start) & (masked.hidden < stop)
        labels[row, masked.hidden[own] - start] = torch.from_numpy(masked.targets[own]).long()
    wanted = peer(input_ids=ids, attention_mask=attended, labels=labels).loss
    wanted.backward()
    assert loss == pytest.approx(wanted.item(), rel=1e-12)

    theirs = {name: parameter.grad for name, parameter in peer.bert.named_parameters()}
    compared = 0
    for name, parameter in learner.embedder.encoder.named_parameters():
        module, _, kind = name.rpartition(".")
        number = "".join(part for part in module.split(".") if part.isdigit())
        sources = NAMINGS["bert"].modules[module.replace(f".{number}.", ".{n}.") if number else module]
        gradient = torch.cat([theirs[f"{source}.{kind}".format(n=number)] for source in sources])
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)
        compared += bool(gradient.abs().max() > 0)
    assert compared > 20
    torch.testing.assert_close(head.dense.weight.grad, learned.transform.dense.weight.grad)
    torch.testing.assert_close(head.norm.bias.grad, learned.transform.LayerNorm.bias.grad)
    torch.testing.assert_close(head.bias.grad, learned.bias.grad)


@pytest.mark.parametrize(("budget", "ranks", "scored"), [(1, 1, 1_024), (40, 1, 3), (None, 3, 7), (25, 2, 1)])
def test_neither_chunks_nor_ranks_nor_blocks_change_anything(
    budget: int | None, ranks: int, scored: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = masked_texts()
    found = []
    for limit, size, block in ((None, 1, 1 << 20), (budget, ranks, scored)):
        monkeypatch.setattr(mlm, "_SCORED", block)
        learner = open_learner(budget=limit)
        head = head_of(learner)
        learner.embedder.double(), head.double()
        loss = sum(
            masked_backward(learner, head, masked, seed=[5], world=Apart(rank, size), weight=1.5)
            for rank in range(size)
        )
        found.append((loss, gradients(learner.embedder, head)))
    (wanted, plain), (loss, chunked) = found
    assert loss == pytest.approx(wanted, rel=1e-12)
    assert plain.keys() == chunked.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(chunked[name], gradient, rtol=1e-10, atol=1e-12)


def test_a_step_with_nothing_hidden_costs_nothing() -> None:
    learner = open_learner()
    head = head_of(learner)
    texts = TokenBatch(np.array([2, 3, 2, 3], dtype=np.int32), np.array([0, 2, 4]))
    nothing = Masked(texts, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32))
    assert masked_backward(learner, head, nothing, seed=[0]) == 0.0
    assert learner.step(0.1, World()) == 0.0


def runner_of(learner: TransformerLearner, passages: Passages, seed: int = 0) -> MaskedRunner:
    tokenizer = read_tokenizer(TINY / "bert-zh")
    return MaskedRunner(TASK, learner, passages, tokenizer, Masking(), [seed, 0, 0])


def test_the_loss_falls(tmp_path: Path) -> None:
    learner = open_learner()
    runner = runner_of(learner, corpus(tmp_path, *TEXTS))
    losses = []
    for step in range(40):
        losses.append(runner.run([0, 0, step]))
        learner.step(STAGE.learning_rate, World())
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_a_run_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    passages = corpus(tmp_path, *TEXTS)
    learner = open_learner()
    runner = runner_of(learner, passages)
    for step in range(3):
        runner.run([0, 0, step])
        learner.step(0.01, World())
    weights = {name: tensor.clone() for name, tensor in learner.weights().items()}
    moments = {name: tensor.clone() for name, tensor in learner.moments().items()}
    state = runner.state()
    assert any(name.startswith("mlm_0_head.") for name in weights)
    assert any("mlm_0_head." in name for name in moments)

    other = open_learner()
    again = runner_of(other, passages)
    other.restore(weights, moments)
    again.restore(state)
    for step in range(3, 6):
        assert runner.run([0, 0, step]) == again.run([0, 0, step])
        learner.step(0.01, World()), other.step(0.01, World())
    for name, tensor in learner.weights().items():
        assert torch.equal(tensor, other.weights()[name])


def test_every_row_has_its_special_tokens_and_its_words(tmp_path: Path) -> None:
    passages = corpus(tmp_path, *TEXTS)
    frame = open_learner().frame
    sampler = mlm.PassageSampler(passages, frame, len(passages), [0])
    rows, texts, begins = sampler.draw()
    assert sorted(rows.tolist()) == list(range(len(passages)))
    assert isinstance(frame, Frame) and frame.specials == 2
    starts, stops = texts.offsets[:-1], texts.offsets[1:]
    assert (texts.ids[starts] == frame.prefix).all() and (texts.ids[stops - 1] == frame.suffix).all()
    assert begins[starts].all() and begins[starts + 1].all() and begins[stops - 1].all()
    assert begins.sum() == passages.begins.sum() + 2 * len(passages)


def test_a_batch_is_told_and_described(tmp_path: Path) -> None:
    learner = open_learner()
    runner = runner_of(learner, corpus(tmp_path, *TEXTS))
    assert runner.describe() == {}
    runner.run([0, 0, 1])
    described = runner.describe()
    assert len(described["rows"]) == len(described["texts"]) == runner.size.rows == runner.size.texts == 4
    assert runner.size.tokens > 4 * 10
    assert all(text.startswith("[CLS]") and text.endswith("[SEP]") for text in described["texts"])
    assert any("[MASK]" in text for text in described["texts"])
    assert json.loads(json.dumps(described)) == described


def test_a_frozen_encoder_leaves_the_head_to_learn() -> None:
    learner = open_learner()
    head = head_of(learner)
    learner.embedder.requires_grad_(False)
    masked_backward(learner, head, masked_texts(), seed=[0])
    assert head.dense.weight.grad is not None and head.dense.weight.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in learner.embedder.parameters())


def test_the_learners_scale_is_on_the_gradients_alone() -> None:
    found = []
    for scale in (1.0, 8.0):
        learner = open_learner()
        head = head_of(learner)
        learner.scale = scale
        loss = masked_backward(learner, head, masked_texts(), seed=[0])
        found.append((loss, gradients(learner.embedder, head)))
    assert found[0][0] == found[1][0]
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], 8 * gradient)


def test_rows_longer_than_the_model_are_refused(tmp_path: Path) -> None:
    passages = corpus(tmp_path, *TEXTS)
    longest = int(np.diff(passages.offsets).max())
    with pytest.raises(RecipeError, match=rf"rows of up to {longest} tokens: with 2 special .* to 18"):
        runner_of(open_learner(max_tokens=20), passages)


def test_new_heads_are_drawn_from_their_seed() -> None:
    config = open_learner().embedder.encoder.config
    first, same, other = (TokenHead(config, mlm.generator_of(seed)) for seed in ([1, 2], [1, 2], [2, 1]))
    assert torch.equal(first.dense.weight, same.dense.weight)
    assert not torch.equal(first.dense.weight, other.dense.weight)
    assert 0.015 < first.dense.weight.std().item() < 0.025 and not first.bias.any()
