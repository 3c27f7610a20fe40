"""What a training run shows: lines for files and pipes, a view for terminals."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from yuyi.cli.train_view import LiveView, PlainView, clock, plain_line, sparkline


def entry(step: int, **more: Any) -> dict[str, Any]:
    return {
        "stage": "成对", "step": step, "of": 100, "at": 300 + step, "total": 1_000, "seconds": 2.0,
        "seconds_left": 3_723.4, "loss": {"contrast": 2 - step / 100}, "rate": 2e-4, "norm": 0.8,
        "examples_per_second": 1_234.5, "tokens_per_second": 45_678, **more,
    }  # fmt: skip


def shown(view: LiveView) -> str:
    console = Console(width=80, file=StringIO())
    console.print(view.render())
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_line_has_losses_speed_and_time_left() -> None:
    assert plain_line(entry(20)) == (
        "成对 20/100  contrast 1.8000  1,234 examples/s  45,678 tokens/s  1:02:03 left"
    )
    assert "  probe 0.5120  " in plain_line(entry(20, probe={"score": 0.512}))


def test_plain_lines_are_few_but_for_probes_and_ends() -> None:
    console = Console(width=200, file=StringIO())
    view = PlainView(console)
    for step in range(20, 101, 20):
        view.log(entry(step, **({"probe": {"score": 0.5}} if step == 60 else {})))
    assert isinstance(console.file, StringIO)
    steps = [line.split()[1] for line in console.file.getvalue().splitlines()]
    assert steps == ["20/100", "60/100", "100/100"]


def test_the_view_has_bars_losses_speed_and_the_best_probe() -> None:
    view = LiveView("模型", Console(file=StringIO()))
    assert "模型" in shown(view)
    for step, score in ((20, 0.4), (40, 0.7), (60, 0.6)):
        view.log(entry(step, probe={"score": score}))
    told = shown(view)
    for part in (
        "模型",
        "stage 成对",
        "60/100",
        "360/1,000",
        "1.4000",
        "45,678 tokens/s",
        "best 0.7000 at step 340",
    ):
        assert part in told


def test_times_and_curves() -> None:
    assert (clock(59.6), clock(90_061)) == ("0:01:00", "1 day, 1:01:01")
    assert sparkline([1, 2, 3, 8]) == "▁▂▃█"
    assert sparkline([5.0]) == "▁"
