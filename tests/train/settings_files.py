"""A settings file for `yuyi train` with all that it names, small enough for a run of seconds."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from yuyi.records import Document, Pair, write_documents, write_pairs

TINY = Path(__file__).parent.parent / "tiny"

_TOPICS = (
    ("护照", "办理", "出入境大厅"),
    ("水壶", "清洗", "厨房"),
    ("借书证", "续借", "图书馆"),
    ("passport", "renew", "the office"),
    ("kettle", "descale", "the kitchen"),
)

SETTINGS: dict[str, Any] = {
    "name": "tiny",
    "license": "Apache-2.0",
    "languages": ["zh", "en"],
    "model": {
        "layers": 2,
        "hidden": 32,
        "heads": 4,
        "intermediate": 64,
        "max_tokens": 48,
        "tokenizer": {"pieces": 300, "smallest_count": 2},
        "prompts": {"query": "问：", "document": ""},
    },
    "data": [{"path": "pairs.parquet"}],
    "documents": ["documents.parquet"],
    "dims": {32: 1.0, 16: 0.5},
    "longest": 48,
    "threads": 1,
    "device": "cpu",
    "hold_out": 8,
    "token_budget": 256,
    "checkpoint": {"every": 4, "keep": 2},
    "log": {"every": 4},
    "stages": [
        {
            "name": "words",
            "steps": 6,
            "learning_rate": 0.002,
            "tasks": [{"objective": "mlm", "batch": 8}],
        },
        {
            "name": "pairs",
            "steps": 12,
            "learning_rate": 0.002,
            "warmup": 2,
            "probe": 6,
            "tasks": [
                {"objective": "contrast", "batch": 24, "kinds": ["qa"], "query_prompt": "query"},
                {"objective": "judged", "batch": 16},
            ],
        },
    ],
}


def settings() -> dict[str, Any]:
    """A copy of the settings, to be changed."""
    return copy.deepcopy(SETTINGS)


def table_settings() -> dict[str, Any]:
    """Those of a token table."""
    tree = settings()
    for key in ("model", "documents", "token_budget", "hold_out"):
        del tree[key]
    tree["vocabulary"] = {"size": 300, "smallest_count": 1, "latin_parts": 30}
    tree["stages"] = [
        {
            "name": "pairs",
            "steps": 30,
            "learning_rate": 0.1,
            "tasks": [{"objective": "contrast", "batch": 24}],
        }
    ]
    return tree


def put(tree: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The tree with a value at a dotted path; None takes the key away."""
    branch: Any = tree
    *above, last = path.split(".")
    for name in above:
        branch = branch[int(name)] if isinstance(branch, list) else branch.setdefault(name, {})
    if value is None:
        del branch[last]
    else:
        branch[int(last) if isinstance(branch, list) else last] = value
    return tree


def write(folder: Path, tree: dict[str, Any] | None = None, name: str = "run.yaml") -> Path:
    """The settings file in a folder, with the data that it names."""
    if not (folder / "pairs.parquet").exists():
        write_pairs(folder / "pairs.parquet", pairs())
        write_documents(folder / "documents.parquet", documents())
    path = folder / name
    path.write_text(yaml.safe_dump(tree or settings(), allow_unicode=True, sort_keys=False), "utf-8")
    return path


def pairs() -> list[Pair]:
    """Questions with answers and hard negatives, judged pairs, and translations, Chinese and English."""
    chosen = np.random.default_rng(5)
    rows = []
    for number in range(120):
        thing, what, where = _TOPICS[number % 5]
        other = _TOPICS[(number + 1 + chosen.integers(4)) % 5]
        lang = "en" if thing.isascii() else "zh"
        ask, answer = f"{thing} {what} {number}？", f"{where} {number} {what} {thing}。"
        against = (f"{other[2]} {number} {other[1]}。", f"{other[0]} {number}")
        rows.append(Pair("manual", "qa", ask, answer, None, lang, negatives=against))
        rows.append(Pair("judged", "paraphrase", ask, f"{thing} {number} {where}", 1.0, lang))
        rows.append(Pair("judged", "paraphrase", ask, f"{other[0]} {number}", 0.0, lang))
    return rows


def documents() -> list[Document]:
    """Short manuals."""
    texts = []
    for number in range(60):
        thing, what, where = _TOPICS[number % 5]
        text = f"{thing} {number}: 先看第 {number} 页。 {what} {thing} in {where}, page {number}.\n\n" * 4
        texts.append(Document("manual", str(number), f"{thing} {number}", text, "zh"))
    return texts
