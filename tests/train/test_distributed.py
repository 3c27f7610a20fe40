from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.train.distributed import ALONE, World, open_world

from .ranks import results

RANKS = 2


def test_many_ranks_learn_what_one_learns(tmp_path: Path) -> None:
    """Three negatives a row, all forms, one chunk a rank and many: loss, gradient and weights after steps."""
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}"]
    command = [sys.executable, "-m", *launcher, str(Path(__file__).with_name("ranks.py")), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3_000:]
    expected = results(ALONE)
    for rank in range(RANKS):
        found = torch.load(tmp_path / f"rank-{rank}.pt")
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            assert tensor.abs().max() > 1e-3, name
            assert (found[name] - tensor).norm() <= 1e-9 * tensor.norm(), name


REFUSED = """
from yuyi.errors import InputError
from yuyi.train.distributed import open_world

try:
    with open_world("cpu") as world:
        if world.rank == 0:
            raise InputError("this file is bad")
        world.wait()
except InputError as error:
    print(error)
"""


def test_who_waits_for_a_process_that_ended_says_so(tmp_path: Path) -> None:
    (tmp_path / "refused.py").write_text(REFUSED)
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}"]
    command = [sys.executable, "-m", *launcher, str(tmp_path / "refused.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3_000:]
    lines = sorted(done.stdout.splitlines())
    assert lines[0].startswith("rank 1: another process of this run has ended. What it said is the cause")
    assert lines[1:] == ["this file is bad"]


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=60),
    ranks=st.integers(1, 5),
    budget=st.none() | st.integers(1, 80),
)
def test_ranks_share_the_tokens(lengths: list[int], ranks: int, budget: int | None) -> None:
    tokens = np.array(lengths, dtype=np.int64)
    shares = [World(rank, ranks).chunks(tokens, budget) for rank in range(ranks)]
    chunks = [chunk for share in shares for chunk in share]
    assert sorted(np.concatenate([rows for _, rows in chunks]).tolist()) == list(range(len(tokens)))
    assert len({number for number, _ in chunks}) == len(chunks)
    own = [sum(int(tokens[rows].sum()) for _, rows in share) for share in shares]
    assert max(own) - min(own) <= tokens.max()
    if budget is None:
        assert all(len(share) <= 1 for share in shares)
    else:
        assert all(len(rows) == 1 or tokens[rows].sum() <= budget for _, rows in chunks)


def test_alone_there_is_nothing_to_sum() -> None:
    tensor = torch.ones(3)
    ALONE.sum_(tensor)
    assert tensor.tolist() == [1, 1, 1]
    ALONE.wait()


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with open_world("cpu") as world:
        assert world == World(0, 1, 0)


@pytest.mark.parametrize("rank", [None, "first"])
def test_half_an_environment_is_refused(monkeypatch: pytest.MonkeyPatch, rank: str | None) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    if rank:
        monkeypatch.setenv("RANK", rank)
    with (
        pytest.raises(InputError, match=r"WORLD_SIZE is 2, and RANK .* Start with torchrun"),
        open_world("cpu"),
    ):
        pass
