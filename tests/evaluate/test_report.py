"""The committed scores of the embedded model are those it has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import yuyi
from yuyi.artifacts import hash_file
from yuyi.encode.load import EMBEDDED
from yuyi.evaluate import evaluate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    """The report in the folder of the embedded model."""
    report: dict[str, Any] = json.loads((EMBEDDED / "scores.json").read_text("utf-8"))
    return report


@pytest.mark.shared
def test_committed_scores_are_recomputed(committed: dict[str, Any], shared_data: Path) -> None:
    expected = {(score["set"], score["dim"]): 100 * score["value"] for score in committed["scores"]}
    report = evaluate(yuyi.load(), shared_data / "eval", dims=sorted({dim for _, dim in expected}))
    found = {(score.set, score.dim): 100 * score.value for score in report.scores}
    assert found == pytest.approx(expected, abs=0.0101)
    assert report.model == committed["model"]
    assert report.settings == committed["settings"]


@pytest.mark.shared
def test_committed_scores_are_of_these_files(committed: dict[str, Any], shared_data: Path) -> None:
    files_now = {path.name: hash_file(path) for path in (shared_data / "eval").glob("*.parquet")}
    assert committed["data"] == files_now
