"""A whole recipe in miniature: documents, pairs, judgments, and a table of a few dimensions."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from yuyi.records import Pair, write_pairs

DOCUMENTS = Path(__file__).parent.parent / "data" / "documents"

_TOPICS = (
    "护照 挂失 补发",
    "水壶 清洗 水垢",
    "借书证 图书馆 续借",
    "passport renew office",
    "kettle scale vinegar",
)

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "license": "Apache-2.0",
    "languages": ["zh", "en"],
    "data": "data",
    "vocabulary": {"size": 500, "smallest_count": 1, "latin_parts": 40},
    "table": {
        "dims": {16: 1.0, 8: 0.5},
        "threads": 1,
        "stages": [
            {
                "name": "weak",
                "steps": 30,
                "tasks": [{"objective": "contrast", "batch": 32}],
            },
            {
                "name": "judged",
                "steps": 20,
                "tasks": [
                    {"objective": "judged", "batch": 32, "share": 2},
                    {"objective": "contrast", "batch": 32},
                ],
            },
        ],
    },
    "documents": [{"path": "documents", "origin": "written for the tests", "licence": "Apache-2.0"}],
    "pairs": [{"path": "pairs.parquet", "origin": "made for the tests", "licence": "CC0"}],
    "left_out": [{"path": "secret.parquet", "reason": "is nobody's business"}],
    "limits": ["Knows five topics."],
}


class Workplace:
    """A folder with data, and the recipe file that is written there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipe = copy.deepcopy(RECIPE)
        self.path = folder / "tiny.yaml"
        self.out = folder / "out"
        shutil.copytree(DOCUMENTS, folder / "data" / "documents")
        write_pairs(folder / "data" / "pairs.parquet", _pairs())
        self.write()

    def write(self) -> Path:
        """The recipe file, after writing the recipe as it is now."""
        self.path.write_text(yaml.safe_dump(self.recipe, allow_unicode=True, sort_keys=False), "utf-8")
        return self.path


def _pairs() -> list[Pair]:
    """Questions with answers of one topic, judged pairs of the same and of different topics, translations."""
    chosen = np.random.default_rng(5)
    pairs = []
    for number in range(96):
        topic = _TOPICS[number % 5].split()
        other = _TOPICS[(number + 1 + chosen.integers(4)) % 5].split()
        first, second = chosen.permutation(3)[:2]
        lang = "en" if topic[0].isascii() else "zh"
        asks, answers = f"{topic[first]} {number}？", f"{topic[second]} {number} {topic[first]}。"
        pairs.append(Pair("made", "qa", asks, answers, None, lang))
        pairs.append(Pair("judged", "paraphrase", asks, f"{topic[second]} {number}", 1.0, lang))
        pairs.append(Pair("judged", "paraphrase", f"{other[0]} {number}", answers, 0.0, lang))
        pairs.append(
            Pair("parallel", "parallel", f"renew passport {number}", f"护照 续借 {number}", None, "en-zh")
        )
    return pairs


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """On one core: a pool of worker processes for each step takes longer to start than the work."""
    monkeypatch.setenv("YUYI_CORES", "1")
    return Workplace(tmp_path)
