"""The committed scores of the embedded model are those it has, on the files that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

import yuyi
from yuyi.encode.load import EMBEDDED
from yuyi.evaluate import Sweep, evaluate, local_tasks
from yuyi.evaluate.results import from_json

SETS = Path(__file__).parent.parent.parent / "benchmarks" / "visible-sets.yaml"


@pytest.mark.shared
@pytest.mark.usefixtures("shared_data")
def test_committed_scores_are_recomputed() -> None:
    committed = from_json((EMBEDDED / "scores.json").read_text("utf-8"))
    encoder = yuyi.load()
    found = evaluate(encoder, local_tasks(SETS, all_rows=True), Sweep(dims=encoder.dims))
    assert [(one.task, one.data, one.sources, one.setting, one.model, one.seed) for one in found] == [
        (one.task, one.data, one.sources, one.setting, one.model, one.seed) for one in committed
    ]
    scores = {(one.task, one.setting.dim): 100 * one.main_score for one in found}
    expected = {(one.task, one.setting.dim): 100 * one.main_score for one in committed}
    assert scores == pytest.approx(expected, abs=0.0101)
