from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

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
