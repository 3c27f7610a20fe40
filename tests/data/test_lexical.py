"""BM25 equals the slow one, and segmented Chinese finds what whitespace does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from yuyi.data.mining.lexical import TERMS, LexicalIndex, _bigrams, count_terms

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PASSAGES = [
    "退款会在三个工作日内原路退回您的账户。",
    "订单发货以后不能修改收货地址。",
    "Refunds reach your account within three working days.",
    "The address of an order cannot be changed after shipping; 地址 see Settings.",
    "",
]


def search(queries: list[str], passages: list[str], n: int, **options: Any) -> NDArray[np.int64]:
    return LexicalIndex(count_terms(passages), **options).search(count_terms(queries), n)


@pytest.mark.parametrize(
    ("query", "first"),
    [("怎么退款？", 0), ("修改地址", 1), ("refunds", 2), ("CHANGED ADDRESS", 3), ("工作日", 0)],
)
def test_the_passage_with_the_query_s_words_comes_first(query: str, first: int) -> None:
    assert search([query], PASSAGES, 2)[0, 0] == first


def test_what_nothing_matches_finds_nothing() -> None:
    assert search(["火山", "zebra", ""], PASSAGES, 3).tolist() == [[-1] * 3] * 3


def test_neighbouring_texts_share_no_bigram() -> None:
    counts = count_terms(["甲", "乙"])
    assert counts.shape == (2, TERMS) and counts.sum(axis=1).ravel().tolist() == [[1, 1]]


def test_rare_ideographs_are_chinese_too() -> None:
    # The second of these is of the compatibility block, the others of the upper planes.
    passages = ["招牌上写着𠮷野屋。", "\uf900\uf901上写着字。", "𪚥𠔻是生僻字。", "吉野屋的招牌。"]
    assert search(["𠮷野"], passages, 1).tolist() == [[0]]
    assert search(["\uf900\uf901"], passages, 1).tolist() == [[1]]
    assert search(["𪚥𠔻"], passages, 1).tolist() == [[2]]
    terms, rows = _bigrams(["𠮷野𪚥", "a𠮷b"])
    assert len(set(terms.tolist())) == 2 and rows.tolist() == [0, 0]


def test_scores_are_those_of_bm25s() -> None:
    bm25s = pytest.importorskip("bm25s")
    words = np.random.default_rng(1).zipf(1.5, (200, 30)) % 400
    texts = [" ".join(f"w{word}" for word in row[: 5 + number % 20]) for number, row in enumerate(words)]
    slow = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
    slow.index([text.split() for text in texts], show_progress=False)
    queries = [" ".join(dict.fromkeys(text.split()[:4])) for text in texts[:50]]
    index = LexicalIndex(count_terms(texts))
    found = index.search(count_terms(queries), 10)
    for query, rows in zip(queries, found, strict=True):
        scores = slow.get_scores(query.split())
        best = np.sort(scores)[::-1][:10]
        np.testing.assert_allclose(scores[rows], best[: len(rows)], rtol=1e-5)


def test_common_terms_are_not_looked_up_and_long_queries_are_cut_to_the_rarest() -> None:
    passages = [f"common rare{number}" for number in range(20)]
    assert search(["common"], passages, 3, longest=10).tolist() == [[-1] * 3]
    index = LexicalIndex(count_terms(passages))
    assert index.search(count_terms(["common rare7"]), 3, terms=1).tolist() == [[7, -1, -1]]


@pytest.mark.shared
@pytest.mark.parametrize(("name", "least", "most"), [("cmrc2018_zh", 0.95, 0.1), ("docs_zh", 0.65, 0.25)])
def test_segmented_chinese_beats_whitespace(name: str, least: float, most: float, shared_data: Path) -> None:
    import bm25s
    import pyarrow.parquet as pq
    import pytrec_eval

    tables = {
        what: pq.read_table(shared_data / f"eval/retrieval_{name}.{what}.parquet").to_pydict()
        for what in ("corpus", "queries", "qrels")
    }
    corpus, queries, qrels = tables["corpus"], tables["queries"], tables["qrels"]
    judged: dict[str, dict[str, int]] = {}
    for query, passage, score in zip(qrels["query_id"], qrels["corpus_id"], qrels["score"], strict=True):
        judged.setdefault(query, {})[passage] = int(score)

    def ndcg(rows: NDArray[np.int64]) -> float:
        run = {
            query: {corpus["id"][row]: float(-rank) for rank, row in enumerate(best) if row >= 0}
            for query, best in zip(queries["id"], rows.tolist(), strict=True)
        }
        found = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10"}).evaluate(run)
        return float(np.mean([one["ndcg_cut_10"] for one in found.values()]))

    plain = bm25s.BM25()
    plain.index([text.split() for text in corpus["text"]], show_progress=False)
    by_space, _ = plain.retrieve([text.split() for text in queries["text"]], k=10, show_progress=False)
    assert ndcg(search(queries["text"], corpus["text"], 10)) > least
    assert ndcg(by_space) < most
