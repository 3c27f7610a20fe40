"""Small evaluation folders, one set of each kind, written by the tests that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

# Long enough that no two pairs have exactly the same cosine; the first five are Chinese.
THINGS = [
    "新买的手机用了两天电池就坏了，怎么退货？",
    "红色的汽车停在学校门口，司机不见了。",
    "明天北京有大雨，出门请带好雨伞。",
    "春节期间火车票提前十五天开始出售。",
    "把鸡蛋打散，加一点盐，倒进热油里炒熟。",
    "The battery of my new phone died after two days.",
    "A red car is parked in front of the school gate.",
    "Heavy rain is expected in Beijing tomorrow, take an umbrella.",
    "Train tickets for the holiday go on sale fifteen days ahead.",
    "Beat the eggs, add some salt and fry them in hot oil.",
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The path, now a Parquet file of the rows."""
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def write_every_kind(folder: Path) -> Path:
    """The folder, now with the sets `similar`, `same`, `topic`, `translated` and `found`."""
    pairs = [(left, right) for left in THINGS for right in THINGS]
    shared = [len(set(left) & set(right)) / len(set(left) | set(right)) for left, right in pairs]
    write(
        folder / "similar.parquet",
        [
            {"sentence1": left, "sentence2": right, "score": 5 * score}
            for (left, right), score in zip(pairs, shared, strict=True)
        ],
    )
    write(
        folder / "same.parquet",
        [
            {"sentence1": left, "sentence2": right + "。", "label": float(left == right)}
            for left, right in pairs
        ],
    )
    topics = [
        {"text": f"{number} {thing}", "label": "zh" if thing in THINGS[:5] else "en", "split": split}
        for split, numbers in (("train", range(10)), ("test", range(10, 15)))
        for number in numbers
        for thing in THINGS
    ]
    write(folder / "topic.parquet", topics)
    write(
        folder / "translated.parquet", [{"sentence1": thing, "sentence2": f"「{thing}」"} for thing in THINGS]
    )
    write(folder / "found.queries.parquet", [{"id": f"q{i}", "text": t} for i, t in enumerate(THINGS)])
    write(
        folder / "found.corpus.parquet",
        [{"id": f"d{i}", "text": f"这里有{t}, and more"} for i, t in enumerate(THINGS)],
    )
    write(
        folder / "found.qrels.parquet",
        [{"query_id": f"q{i}", "corpus_id": f"d{i}", "score": 1.0} for i in range(len(THINGS))],
    )
    return folder


def write_eight_kinds(folder: Path) -> Path:
    """The folder, now also with `groups` (clustering), `ranked`, `chosen` (reranking) and `summed`."""
    write_every_kind(folder)
    write(
        folder / "groups.clusters.parquet",
        [
            {"text": f"{number} {thing}", "label": "中文" if thing in THINGS[:5] else "English"}
            for number in range(3)
            for thing in THINGS
        ],
    )
    others = [*THINGS[1:], THINGS[0]]
    write(
        folder / "ranked.parquet",
        [
            {"query": thing, "positive": [f"「{thing}」", f"{thing}!"], "negative": [other, f"{other}?"]}
            for thing, other in zip(THINGS, others, strict=True)
        ],
    )
    for part in ("queries", "corpus", "qrels"):
        (folder / f"chosen.{part}.parquet").write_bytes((folder / f"found.{part}.parquet").read_bytes())
    write(
        folder / "chosen.top_ranked.parquet",
        [{"query_id": f"q{i}", "corpus_ids": [f"d{i}", f"d{(i + 1) % 10}"]} for i in range(len(THINGS))],
    )
    write(
        folder / "summed.parquet",
        [
            {
                "text": thing,
                "human_summaries": [thing[:12], thing[2:]],
                "machine_summaries": [thing[:10], thing[:5], other[:10]],
                "relevance": [4.5, 3.0, 1.0],
            }
            for thing, other in zip(THINGS, others, strict=True)
        ],
    )
    return folder
