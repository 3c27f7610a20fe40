"""The eight types of task that a model of texts is judged by: columns of their rows, and what is scored.

| type | columns | score that counts |
|---|---|---|
| STS | sentence1, sentence2, score | Spearman of the cosine |
| PairClassification | sentence1, sentence2, label (1 same, 0 different) | average precision of the cosine |
| Classification | text, label, split (train or test) | accuracy |
| Clustering | text, label | v-measure |
| Reranking | query, positive, negative (lists); or the files of retrieval with top_ranked | MAP@1000 |
| Retrieval | files: queries and corpus (id, text), qrels (query_id, corpus_id, score) | nDCG@10 |
| Summarization | text, human_summaries, machine_summaries, relevance (lists) | Spearman of the cosine |
| BitextMining | sentence1, sentence2 | accuracy |

Metrics have mteb 2's names. Bitext mining counts by accuracy where mteb's own tasks take F1: with one
translation for each sentence the two say the same, and accuracy says it plainly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

KindName: TypeAlias = Literal[
    "STS",
    "PairClassification",
    "Classification",
    "Clustering",
    "Reranking",
    "Retrieval",
    "Summarization",
    "BitextMining",
]
# What the cells of a column hold; `rows` says what each of them allows.
Content: TypeAlias = Literal[
    "text", "title", "texts", "id", "ids", "number", "numbers", "relevance", "label", "same or not"
]

SPLIT = "split"  # the column that says which part of the data a row belongs to
TRAIN = "train"  # the part that a classification learns from
ALL_ROWS = "accuracy_all_rows"  # of one classifier fitted on all of that part; ours, and given when asked for


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One of mteb's task types and what is scored of it.

    Attributes:
        name: mteb's name of the task type.
        task_class: name of the class in `mteb.abstasks`.
        columns: what the columns of its file hold, by name; empty where it has several files only.
        metric: mteb's name of the score that counts, unless a task says otherwise.
        metrics: all that cards print of it, by mteb's names.
        parts: columns of its files where it has several, by part.
        exact: whether its file is known by having no other column.
        settings: attributes of the class that differ from mteb's defaults.
    """

    name: KindName
    task_class: str
    columns: Mapping[str, Content]
    metric: str
    metrics: tuple[str, ...]
    parts: Mapping[str, Mapping[str, Content]] = field(default_factory=dict)
    exact: bool = False
    settings: tuple[tuple[str, Any], ...] = ()


def _crossed(first: str, second: str) -> tuple[str, ...]:
    return tuple(f"{left}_{right}" for left in first.split() for right in second.split())


_SENTENCES: dict[str, Content] = {"sentence1": "text", "sentence2": "text"}
_TEXTS: dict[str, Content] = {"id": "id", "text": "text"}
_RANKED = _crossed("ndcg map mrr recall precision", "at_1 at_3 at_5 at_10 at_20 at_100 at_1000")
# Columns that a file may lack, by part: mteb puts the title of a document before its text.
OPTIONAL: dict[str, Mapping[str, Content]] = {"corpus": {"title": "title"}}
MAY_LACK: tuple[Content, ...] = ("title",)  # contents of these columns, by which they are known
_JUDGED: dict[str, Mapping[str, Content]] = {
    "queries": _TEXTS,
    "corpus": _TEXTS,
    "qrels": {"query_id": "id", "corpus_id": "id", "score": "relevance"},
}

STS = Kind(
    "STS",
    "AbsTaskSTS",
    {**_SENTENCES, "score": "number"},
    "cosine_spearman",
    ("pearson", "spearman", *_crossed("cosine euclidean manhattan", "pearson spearman")),
)
PAIR_CLASSIFICATION = Kind(
    "PairClassification",
    "AbsTaskPairClassification",
    {**_SENTENCES, "label": "same or not"},
    "cosine_ap",
    _crossed("cosine dot euclidean manhattan max similarity", "accuracy ap f1 precision recall"),
    settings=(("label_column_name", "label"),),
)
CLASSIFICATION = Kind(
    "Classification",
    "AbsTaskClassification",
    {"text": "text", "label": "label"},
    "accuracy",
    (
        *("accuracy", ALL_ROWS, "ap", "ap_weighted"),
        *_crossed("f1 precision recall", "weighted"),
        *("f1", "precision", "recall"),
    ),
)
# mteb leaves out 24 of 25 rows unless told otherwise, which suits its own sets of 100,000 and no smaller one.
CLUSTERING = Kind(
    "Clustering",
    "AbsTaskClustering",
    {"text": "text", "label": "label"},
    "v_measure",
    ("v_measure", "v_measure_std", "ami"),
    settings=(
        ("input_column_name", "text"),
        ("label_column_name", "label"),
        ("max_fraction_of_documents_to_embed", None),
    ),
)
RERANKING = Kind(
    "Reranking",
    "AbsTaskRetrieval",
    {"query": "text", "positive": "texts", "negative": "texts"},
    "map_at_1000",
    _RANKED,
    {**_JUDGED, "top_ranked": {"query_id": "id", "corpus_ids": "ids"}},
)
RETRIEVAL = Kind("Retrieval", "AbsTaskRetrieval", {}, "ndcg_at_10", _RANKED, _JUDGED)
SUMMARIZATION = Kind(
    "Summarization",
    "AbsTaskSummarization",
    {"text": "text", "human_summaries": "texts", "machine_summaries": "texts", "relevance": "numbers"},
    "cosine_spearman",
    ("pearson", "spearman", *_crossed("cosine dot", "pearson spearman")),
)
BITEXT = Kind(
    "BitextMining",
    "AbsTaskBitextMining",
    _SENTENCES,
    "accuracy",
    ("accuracy", "f1", "precision", "recall"),
    exact=True,
)

KINDS: dict[KindName, Kind] = {
    kind.name: kind
    for kind in (
        STS,
        PAIR_CLASSIFICATION,
        CLASSIFICATION,
        CLUSTERING,
        RERANKING,
        RETRIEVAL,
        SUMMARIZATION,
        BITEXT,
    )
}
