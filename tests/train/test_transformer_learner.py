from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from train.runs import learner
from train.tiny import learner as doubles
from train.tiny import texts
from yuyi.errors import RecipeError
from yuyi.train.config import Stage, Task
from yuyi.train.distributed import ALONE
from yuyi.train.gradcache import backward
from yuyi.train.running.freezing import resting_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.train.transformer import TransformerLearner

STAGE = Stage(name="s", steps=20, tasks=(Task(objective="contrast"),), learning_rate=0.01, clip=None)
QKV = "embedder.encoder.layers.0.qkv.weight"


def lengths(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(2, 10, rows)


def away(vectors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Some loss of two columns, neither zero nor flat."""
    left, right = vectors
    return (left @ right.T).square().mean() + left.mean()


def push(subject: TransformerLearner, step: int, factor: float = 1.0) -> float:
    columns = [texts(lengths(6, step), step), texts(lengths(4, step + 50), step + 50)]
    return backward(subject, columns, lambda vectors: away(vectors) * factor, seed=[0, step])


def copied(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def assert_same(subject: TransformerLearner, other: TransformerLearner) -> None:
    for name, tensor in subject.weights().items():
        assert torch.equal(tensor, other.weights()[name]), name


def test_steps_are_those_of_adamw_without_decay_on_biases_and_norms() -> None:
    subject, peer = doubles(), doubles()
    subject.begin(replace(STAGE, weight_decay=0.1, clip=0.05))
    named = dict(peer.embedder.named_parameters())
    plain = [name for name in named if name.endswith("bias") or "norm" in name]
    decayed = [name for name in named if name not in plain]
    assert {"encoder.embeddings.norm.weight", "encoder.layers.1.qkv.bias"} <= set(plain)
    assert {"encoder.embeddings.tokens.weight", "encoder.layers.1.qkv.weight"} <= set(decayed)
    groups = [
        {"params": [named[name] for name in decayed], "weight_decay": 0.1},
        {"params": [named[name] for name in plain], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, foreach=False)
    for step in range(4):
        push(subject, step)
        push(peer, step)
        expected = torch.nn.utils.clip_grad_norm_(list(named.values()), 0.05)
        assert expected > 0.05
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * (step + 1)
        optimizer.step()
        optimizer.zero_grad()
        assert subject.step(0.01 * (step + 1), ALONE) == pytest.approx(float(expected), rel=1e-9)
    for name, tensor in subject.weights().items():
        torch.testing.assert_close(tensor, peer.weights()[name], rtol=1e-9, atol=1e-12)


def test_without_clipping_the_gradient_is_left_as_it_is() -> None:
    clipped, free = doubles(), doubles()
    clipped.begin(replace(STAGE, clip=1e9))
    free.begin(STAGE)
    for subject in (clipped, free):
        push(subject, 0, factor=100.0)
    assert clipped.step(0.01, ALONE) == (free.step(0.01, ALONE) or 0) > 1
    assert_same(clipped, free)


def test_a_gradient_that_is_no_number_leaves_the_weights() -> None:
    subject = doubles()
    subject.begin(STAGE)
    push(subject, 0)
    subject.step(0.01, ALONE)
    weights, moments = copied(subject.weights()), copied(subject.moments())
    push(subject, 1, factor=math.inf)
    assert not math.isfinite(subject.step(0.01, ALONE) or 0)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in subject.weights().items())
    assert all(
        torch.equal(tensor, moments[name]) for name, tensor in subject.moments().items() if "/" in name
    )
    push(subject, 2)
    assert (subject.step(0.01, ALONE) or 0) > 0


def test_frozen_parts_rest_for_their_steps() -> None:
    subject = doubles()
    subject.begin(
        replace(STAGE, freeze={"embeddings": 3, "layers.0": 1, "layers.0.qkv": 2}, weight_decay=0.1)
    )
    moved: dict[str, list[bool]] = {}
    for step in range(5):
        before = copied(subject.weights())
        push(subject, step)
        subject.step(0.01, ALONE)
        for name, tensor in subject.weights().items():
            moved.setdefault(name.removeprefix("embedder.encoder."), []).append(
                not torch.equal(tensor, before[name])
            )
    for name, steps in moved.items():
        rest = 3 if name.startswith("embeddings.") else 2 if name.startswith("layers.0.qkv") else 0
        rest = rest or int(name.startswith("layers.0."))
        if name == "embeddings.types.weight":
            assert steps[:rest] == [False] * 3
        else:
            assert steps == [False] * rest + [True] * (5 - rest), name


def test_what_rests_costs_no_gradient() -> None:
    subject = doubles()
    subject.begin(replace(STAGE, freeze={"embeddings": 2, "layers.0": 2}))
    push(subject, 0)
    grads = {name: parameter.grad for name, parameter in subject.embedder.encoder.named_parameters()}
    assert grads["layers.0.up.weight"] is None and grads["layers.1.up.weight"] is not None


def test_a_frozen_run_goes_on() -> None:
    stage = replace(STAGE, freeze={"embeddings": 4, "layers.0": 2})
    whole = doubles()
    whole.begin(stage)
    for step in range(6):
        push(whole, step)
        whole.step(0.01, ALONE)
        if step == 2:
            saved = copied(whole.weights()), copied(whole.moments())
    again = doubles()
    again.begin(stage)
    again.restore(*saved)
    for step in range(3, 6):
        push(again, step)
        again.step(0.01, ALONE)
    assert_same(whole, again)


def test_parts_that_there_are_not_are_named() -> None:
    names = [name for name, _ in doubles("bert-dense").embedder.named_parameters()]
    with pytest.raises(RecipeError) as caught:
        resting_steps(names, {"layers.9": 5})
    assert str(caught.value) == (
        "freeze.layers.9: the model has no such part. Choose from embeddings, layers.0, layers.1, pooler, or "
        "a longer name within one of them."
    )
    assert set(resting_steps(names, {"layers": 5}).values()) == {5}
    assert resting_steps(names, {"encoder.embeddings.norm.bias": 5}) == {"encoder.embeddings.norm.bias": 5}
    assert len(resting_steps(names, {"layers.1": 1})) < len(resting_steps(names, {"layers": 1}))
    with pytest.raises(RecipeError, match=r"freeze\.layer: the model has no such part"):
        resting_steps(names, {"layer": 5})
    resting = doubles()
    resting.begin(replace(STAGE, freeze={"embeddings": 2, "layers": 3}))
    with pytest.raises(
        RecipeError,
        match=r"freeze: all parts of the model rest for the first 2 steps of stage s, and nothing",
    ):
        resting.ready()


@pytest.mark.parametrize("budget", [15, 10_000])
def test_a_module_beside_the_model_learns_while_all_of_the_model_rests(budget: int) -> None:
    subject = doubles()
    subject.token_budget = budget
    subject.begin(replace(STAGE, freeze={"embeddings": 2, "layers": 2}))
    head = torch.nn.Linear(32, 3, dtype=torch.float64)
    subject.extra("head", head)
    subject.ready()
    model, first = copied(subject.model()), head.weight.detach().clone()
    for step in range(3):
        assert all(torch.equal(tensor, model[name]) for name, tensor in subject.model().items())
        columns = [texts(lengths(6, step), step)]
        backward(subject, columns, lambda vectors: head(vectors[0]).square().mean(), seed=[0, step])
        assert (subject.step(0.01, ALONE) or 0) > 0
    assert not torch.equal(head.weight, first)
    assert not torch.equal(subject.model()[QKV], model[QKV])


class Doubling:
    """Two ranks that always have the same: every sum is twice one's own."""

    rank, size = 0, 2

    def sum_(self, *tensors: torch.Tensor) -> None:
        for tensor in tensors:
            tensor.mul_(2)


def test_what_no_rank_touched_rests() -> None:
    """A head that took no part in a step neither moves nor decays."""
    subject = doubles()
    subject.begin(replace(STAGE, weight_decay=0.5))
    head = subject.extra("head", torch.nn.Linear(4, 4, dtype=torch.float64))
    before = copied(subject.weights())
    push(subject, 0)
    subject.step(0.01, Doubling())  # type: ignore[arg-type]
    after = subject.weights()
    assert torch.equal(after["head.weight"], before["head.weight"])
    assert not torch.equal(after[QKV], before[QKV])
    head(torch.ones(1, 4, dtype=torch.float64)).sum().backward()
    subject.step(0.01, ALONE)
    assert not torch.equal(subject.weights()["head.weight"], before["head.weight"])


def test_extra_modules_are_trained_saved_and_left_behind() -> None:
    subject = doubles()
    subject.begin(STAGE)

    def head(seed: int) -> torch.nn.Linear:
        made = torch.nn.Linear(32, 2, dtype=torch.float64)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.normal_(generator=torch.Generator().manual_seed(seed))
        return made

    own = subject.extra("head", head(1))
    for step in range(3):
        vectors = subject.embed(texts(lengths(5, step), step))
        own(vectors).square().sum().backward()
        subject.step(0.01, ALONE)
        if step == 1:
            saved = copied(subject.weights()), copied(subject.moments())
    assert {"head.weight", "head.bias"} == subject.weights().keys() - subject.model().keys()
    assert {"exp_avg/head.weight", "exp_avg_sq/head.bias"} < saved[1].keys()
    again = doubles()
    again.begin(STAGE)
    other = again.extra("head", head(2))
    again.restore(*saved)
    other(again.embed(texts(lengths(5, 2), 2))).square().sum().backward()
    again.step(0.01, ALONE)
    assert_same(subject, again)
    again.begin(STAGE)
    assert again.weights().keys() == again.model().keys()


def test_a_checkpoint_of_another_model_is_refused() -> None:
    subject = doubles()
    subject.begin(STAGE)
    with pytest.raises(RecipeError, match=r"lacks embedder\.encoder\..*another model"):
        subject.restore({}, {})


@settings(max_examples=5)
@given(seed=st.integers(0, 100), budget=st.sampled_from([15, 40, 10_000]))
def test_layers_computed_again_give_the_same_gradients(seed: int, budget: int) -> None:
    """Dropout too: it is drawn again as it was."""
    found = []
    for checkpointing in (False, True):
        subject = learner(dropout=0.3, checkpointing=checkpointing)
        subject.token_budget = budget
        subject.begin(STAGE)
        loss = push(subject, seed)
        grads = [each.grad for each in subject.embedder.parameters() if each.grad is not None]
        found.append((loss, torch.cat([each.flatten() for each in grads])))
    assert found[0][0] == found[1][0]
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-7)
    assert found[0][1].norm() > 0


@pytest.mark.parametrize(("precision", "far"), [(torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_half_precision_gives_nearly_the_same_gradients(precision: torch.dtype, far: float) -> None:
    exact, half = learner(dropout=0.0), learner(precision, dropout=0.0)
    found = []
    for subject in (exact, half):
        subject.begin(STAGE)
        push(subject, 3)
        assert subject.embedder.encoder.layers[0].qkv.weight.dtype == torch.float32
        grads = [each.grad / subject.scale for each in subject.embedder.parameters() if each.grad is not None]
        found.append(torch.cat([each.flatten() for each in grads]))
    distance = (found[0] - found[1]).norm() / found[0].norm()
    assert 0 < distance < far
    assert half.step(0.01, ALONE) == pytest.approx(exact.step(0.01, ALONE), rel=0.1)


def test_the_scale_of_float16_finds_its_place_and_is_saved() -> None:
    subject = learner(torch.float16, dropout=0.0)
    subject.begin(STAGE)
    assert subject.scale == 65_536
    weights = copied(subject.weights())
    # Too large for a gradient in half precision, until the scale is small enough.
    skipped = 0
    push(subject, 5, factor=300.0)
    while subject.step(0.01, ALONE) is None:
        skipped += 1
        assert all(torch.equal(tensor, weights[name]) for name, tensor in subject.weights().items())
        push(subject, 5, factor=300.0)
    assert skipped > 0 and subject.scale == 65_536 / 2**skipped
    assert not torch.equal(subject.weights()[QKV], weights[QKV])
    again = learner(torch.float16, dropout=0.0)
    again.begin(STAGE)
    again.restore(copied(subject.weights()), copied(subject.moments()))
    assert again.scale == subject.scale
    for step in range(6, 9):
        for each in (subject, again):
            push(each, step)
            each.step(0.01, ALONE)
    assert_same(subject, again)
    push(subject, 9, factor=math.inf)
    while (norm := subject.step(0.01, ALONE)) is None:
        push(subject, 9, factor=math.inf)
    assert not math.isfinite(norm) and subject.scale < 1


def test_the_scale_grows_when_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yuyi.train.transformer._STEADY", 3)
    subject = learner(torch.float16, dropout=0.0)
    subject.begin(STAGE)
    scales = []
    for step in range(7):
        push(subject, step, factor=1e-4)
        subject.step(0.001, ALONE)
        scales.append(subject.scale / 65_536)
    assert scales == [1, 1, 2, 2, 2, 4, 4]


def test_settings_are_json_and_tell_what_decides_a_run() -> None:
    found: dict[str, Any] = json.loads(json.dumps(learner(torch.bfloat16, dropout=0.2).settings()))
    assert found["precision"] == "bfloat16" and found["token_budget"] == 90 and found["dropout"] == 0.2
    assert found["encoder"]["heads"] == 4
