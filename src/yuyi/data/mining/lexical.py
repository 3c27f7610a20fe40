"""BM25 over Chinese words with character bigrams and over English words, for many queries at a time.

A term is a number made of its letters (feature hashing), so texts are counted apart from each other and no
vocabulary has to be gathered. The scores of a term in every passage are one row of a sparse matrix, and
searching is a sparse matrix product that keeps the best of each row. The formula is Lucene's, as the package
bm25s has it; it is written out here because building an index there took seven times as long.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from yuyi.data.clean import IDEOGRAPHS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Numbers that a term can have: with a million terms, one in nine shares its number with another.
TERMS = 1 << 23
_K1, _B = 1.5, 0.75
_RUN = re.compile(rf"[{IDEOGRAPHS}]+|[^\W{IDEOGRAPHS}]+")
_CHINESE = re.compile(f"[{IDEOGRAPHS}]")
# First and last of each range of ideographs.
_RANGES = [(ord(first), ord(last)) for first, last in re.findall("(.)-(.)", IDEOGRAPHS)]
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class LexicalIndex:
    """Passages by the terms that stand in them.

    Args:
        counts: (passages, TERMS) sparse, as `count_terms` gives it.
        longest: a term that stands in more passages than this is not looked up: it costs most and tells
            least. None looks up all.
    """

    def __init__(self, counts: Any, *, longest: int | None = None) -> None:
        from scipy import sparse

        passages = counts.shape[0]
        frequency = np.bincount(counts.indices, minlength=TERMS)
        self.idf = np.log1p((passages - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        self._looked_up = frequency <= (passages if longest is None else longest)
        lengths = np.asarray(counts.sum(axis=1), dtype=np.float32).ravel()
        norms = _K1 * (1 - _B + _B * lengths / max(float(lengths.mean()), 1.0)) if passages else lengths
        scores = counts.data / (counts.data + np.repeat(norms, np.diff(counts.indptr)))
        scores *= self.idf[counts.indices]
        self._scores = sparse.csr_matrix((scores, counts.indices, counts.indptr), counts.shape).T.tocsr()

    def search(self, queries: Any, n: int, *, terms: int = 32, threads: int = 1) -> NDArray[np.int64]:
        """(queries, n) int64: the best passages of each query, best first; -1 where there are fewer.

        Args:
            queries: (queries, TERMS) sparse, as `count_terms` gives it.
            n: passages wanted.
            terms: a query is cut to its rarest terms, this many.
            threads: that work side by side.
        """
        from sparse_dot_topn import sp_matmul_topn

        found = sp_matmul_topn(self._rarest(queries, terms), self._scores, n, n_threads=threads)
        rows = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
        order = np.lexsort((found.indices, -found.data, rows))
        best = np.full((found.shape[0], n), -1, np.int64)
        best[rows, np.arange(len(rows)) - found.indptr[rows]] = found.indices[order]
        return best

    def _rarest(self, queries: Any, most: int) -> Any:
        from scipy import sparse

        known = self._looked_up[queries.indices]
        rows = np.repeat(np.arange(queries.shape[0]), np.diff(queries.indptr))[known]
        terms, counts = queries.indices[known], queries.data[known]
        order = np.lexsort((terms, -self.idf[terms], rows))
        starts = np.searchsorted(rows, np.arange(queries.shape[0]))
        kept = order[np.arange(len(rows)) - starts[rows] < most]
        return sparse.csr_matrix((counts[kept], (rows[kept], terms[kept])), queries.shape)


def count_terms(texts: Sequence[str]) -> Any:
    """(texts, TERMS) scipy CSR matrix of float32: how often each term stands in each text."""
    from scipy import sparse

    lowered = [text.lower() for text in texts]
    words, of_words = _words(lowered)
    bigrams, of_bigrams = _bigrams(lowered)
    terms = np.concatenate([words, bigrams])
    rows = np.concatenate([of_words, of_bigrams])
    # Converting from coordinates adds up what stands twice.
    return sparse.coo_matrix((np.ones(len(terms), np.float32), (rows, terms)), (len(texts), TERMS)).tocsr()


class _Numbers(dict[str, int]):
    """The number of a word, reckoned at its first use."""

    def __missing__(self, word: str) -> int:
        self[word] = number = crc32(word.encode("utf-8", "surrogatepass")) % TERMS
        return number


def _words(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The terms of all words, and the number of the text of each."""
    import rjieba

    numbers = _Numbers()
    terms: list[int] = []
    lengths = []
    for text in texts:
        before = len(terms)
        for run in _RUN.findall(text):
            if not run.isascii() and _CHINESE.match(run):
                terms += [numbers[word] for word in rjieba.cut(run)]
            else:
                terms.append(numbers[run])
        lengths.append(len(terms) - before)
    return np.array(terms, np.int64), np.repeat(np.arange(len(texts)), lengths)


def _bigrams(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The terms of all neighbouring Chinese characters, and the number of the text of each."""
    # A line feed behind each text keeps its last character from its neighbour's first.
    joined = "".join(f"{text}\n" for text in texts)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    chinese = np.logical_or.reduce([(codes >= first) & (codes <= last) for first, last in _RANGES])
    places = np.flatnonzero(chinese[:-1] & chinese[1:])
    both = codes[places].astype(np.uint64) << np.uint64(21) | codes[places + 1]
    terms = (both * _FACTOR >> np.uint64(64 - 23)).astype(np.int64)
    ends = np.cumsum([len(text) + 1 for text in texts])
    return terms, np.searchsorted(ends, places, side="right")
