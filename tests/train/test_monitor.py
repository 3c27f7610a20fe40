from __future__ import annotations

import json
import os
import resource
from typing import TYPE_CHECKING, Any

import pytest

from yuyi import extras
from yuyi.errors import InputError, MissingExtra
from yuyi.train.running.curves import draw_curves
from yuyi.train.running.monitor import (
    Journal,
    numbers_of,
    read_journal,
    tell,
    tensorboard_log,
    trackio_log,
)

if TYPE_CHECKING:
    from pathlib import Path


def entry(at: int, stage: str = "弱监督", **more: Any) -> dict[str, Any]:
    return {
        "stage": stage,
        "step": at,
        "of": 100,
        "at": at,
        "total": 100,
        "seconds": 1.0,
        "seconds_left": float(100 - at),
        "loss": {"contrast": 2.0 / at, "judged": 1.0},
        "rate": 0.01,
        "norm": 0.5,
        "examples_per_second": 100.0,
        "tokens_per_second": 2000,
        **more,
    }


def test_lines_behind_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "training.jsonl"
    journal = Journal(path)
    journal.begin(0)
    assert not path.exists()
    for at in (20, 40, 60):
        journal(entry(at))
    again = Journal(path)
    again.begin(40)
    again(entry(60, again=True))
    assert read_journal(path) == [entry(20), entry(40), entry(60, again=True)]
    assert path.read_text("utf-8").splitlines()[0] == json.dumps(entry(20), ensure_ascii=False)
    Journal(path).begin(0)
    assert path.read_bytes() == b""


def test_the_torn_end_of_a_killed_run_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "training.jsonl"
    Journal(path)(entry(20))
    whole = path.read_bytes()
    line = (json.dumps(entry(40), ensure_ascii=False) + "\n").encode()
    for cut in range(len(line) - 1):  # Within a Chinese character, too.
        path.write_bytes(whole + line[:cut])
        assert read_journal(path) == [entry(20)]
    Journal(path).begin(40)
    assert path.read_bytes() == whole


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "training.jsonl"
    Journal(path)(entry(20))
    size = path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(InputError, match=r"training\.jsonl: cannot be written .*Make room"):
            Journal(path)(entry(40))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_journal(path) == [entry(20)]


def test_a_line_is_told_to_all(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    tell(told.append, None, Journal(tmp_path / "a.jsonl"))(entry(3))
    assert told == [entry(3)] == read_journal(tmp_path / "a.jsonl")


def test_numbers_have_names() -> None:
    assert numbers_of(entry(2, probe={"score": 0.5})) == {
        "rate": 0.01,
        "norm": 0.5,
        "examples_per_second": 100.0,
        "tokens_per_second": 2000.0,
        "loss/contrast": 1.0,
        "loss/judged": 1.0,
        "probe/score": 0.5,
    }


def test_tensorboard_shows_each_step_once(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = tensorboard_log(tmp_path)
    for at in (1, 2, 3, 4):
        log(entry(at))
    resumed = tensorboard_log(tmp_path)
    for at in (3, 4, 5):
        resumed(entry(at, loss={"contrast": 7.0}))
    shown = EventAccumulator(str(tmp_path))
    shown.Reload()
    assert [(each.step, each.value) for each in shown.Scalars("loss/contrast")] == [
        (1, 2.0),
        (2, 1.0),
        (3, 7.0),
        (4, 7.0),
        (5, 7.0),
    ]
    assert {"rate", "norm", "tokens_per_second"} <= set(shown.Tags()["scalars"])


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'yuyi\[tensorboard\]'"):
        tensorboard_log(tmp_path)
    with pytest.raises(MissingExtra, match=r"pip install 'yuyi\[trackio\]'"):
        trackio_log("yuyi", "a")
    Journal(tmp_path / "a.jsonl")(entry(1))
    with pytest.raises(MissingExtra, match=r"pip install 'yuyi\[report\]'"):
        draw_curves(tmp_path / "a.jsonl", tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_curves_are_drawn(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "training.jsonl")
    for at in range(1, 60):
        journal(entry(at, "weak", **({"probe": {"score": at / 60}} if at % 10 == 0 else {})))
    draw_curves(tmp_path / "training.jsonl", tmp_path / "curves.png")
    content = (tmp_path / "curves.png").read_bytes()
    assert content.startswith(b"\x89PNG") and len(content) > 20_000
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match=r"empty\.jsonl: no steps were logged"):
        draw_curves(tmp_path / "empty.jsonl", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
