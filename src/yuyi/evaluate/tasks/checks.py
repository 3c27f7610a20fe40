"""What the rows of a test set must be to one another, so that a score of them means something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.errors import InputError

if TYPE_CHECKING:
    from yuyi.evaluate.tasks.rows import Table


def check_varied(table: Table, name: str, of: str = "") -> None:
    """Return when a column has at least two values.

    Raises:
        InputError: it has one, so nothing can be told apart.
    """
    if len(set(table.columns[name])) < 2:
        raise InputError(
            f"{table.file}: {table.names[name]}{of} has the same value in every row; at least 2 are needed "
            "to tell texts apart. Add rows of others."
        )


def check_unique(table: Table, name: str) -> dict[str, int]:
    """The row of each value of a column that names rows.

    Raises:
        InputError: two rows have the same.
    """
    places: dict[str, int] = {}
    for row, value in enumerate(table.columns[name]):
        if value in places:
            first = table.place(places[value])
            raise table.fault(row, f"has {table.names[name]} {value!r}, which {first} has too")
        places[value] = row
    return places


def number_labels(*tables: Table) -> list[list[int]]:
    """The column `label` of each table, every label replaced by its place among all labels in order.

    Raises:
        InputError: some are text and some are not.
    """
    of_tables = [table.columns["label"] for table in tables]
    first = of_tables[0][0]
    for table, labels in zip(tables, of_tables, strict=True):
        for row, label in enumerate(labels):
            if isinstance(label, str) != isinstance(first, str):
                name = table.names["label"]
                raise table.fault(row, f"has {name} {label!r}, but {first!r} is a label too: text and number")
    numbers = {label: number for number, label in enumerate(sorted(set().union(*of_tables)))}
    return [[numbers[label] for label in labels] for labels in of_tables]


def read_judgments(queries: Table, corpus: Table, qrels: Table) -> dict[str, dict[str, int]]:
    """Relevance by query and document.

    Raises:
        InputError: a judgment names a query or document that is not there, or is there twice; a query has no
            relevant document; two queries or documents have the same identifier.
    """
    places = {"query_id": check_unique(queries, "id"), "corpus_id": check_unique(corpus, "id")}
    files = {"query_id": queries.file, "corpus_id": corpus.file}
    relevant: dict[str, dict[str, int]] = {query: {} for query in places["query_id"]}
    judged = zip(*(qrels.columns[name] for name in ("query_id", "corpus_id", "score")), strict=True)
    for row, (query, document, score) in enumerate(judged):
        for name, value in (("query_id", query), ("corpus_id", document)):
            if value not in places[name]:
                raise qrels.fault(
                    row, f"has {qrels.names[name]} {value!r}, which is not in {files[name].name}"
                )
        if document in relevant[query]:
            raise qrels.fault(row, f"judges {document!r} for query {query!r} a second time")
        relevant[query][document] = score
    for query, documents in relevant.items():
        if not any(score > 0 for score in documents.values()):
            row = places["query_id"][query]
            raise queries.fault(
                row, f"is query {query!r}, for which {qrels.file.name} has no relevant document"
            )
    return relevant


def read_ranked(top_ranked: Table, queries: Table, corpus: Table) -> dict[str, list[str]]:
    """The documents to put in order, by query.

    Raises:
        InputError: a query or document is not there, or there twice, or a query has none.
    """
    known, asked = set(corpus.columns["id"]), set(queries.columns["id"])
    for row, query in enumerate(check_unique(top_ranked, "query_id")):
        if query not in asked:
            raise top_ranked.fault(
                row, f"has {top_ranked.names['query_id']} {query!r}, which is not in {queries.file.name}"
            )
    ranked = dict(zip(top_ranked.columns["query_id"], top_ranked.columns["corpus_ids"], strict=True))
    for row, documents in enumerate(ranked.values()):
        unknown = next((document for document in documents if document not in known), None)
        if unknown is not None:
            raise top_ranked.fault(row, f"names document {unknown!r}, which is not in {corpus.file.name}")
        if len(set(documents)) < len(documents):
            raise top_ranked.fault(row, "names a document twice")
    for row, query in enumerate(queries.columns["id"]):
        if query not in ranked:
            raise queries.fault(row, f"is query {query!r}, which is not in {top_ranked.file.name}")
    return ranked


def check_candidates(table: Table) -> None:
    """Return when no text of a row for reranking is both relevant and not.

    Raises:
        InputError: one is.
    """
    for row, (positive, negative) in enumerate(
        zip(table.columns["positive"], table.columns["negative"], strict=True)
    ):
        both = set(positive) & set(negative)
        if both:
            raise table.fault(row, f"has {min(both)!r:.80} as positive and as negative")


def check_summaries(table: Table) -> None:
    """Return when each machine-made summary has its relevance, and these differ within a text.

    Raises:
        InputError: a row has more of one than of the other, or no text has summaries that differ.
    """
    summaries, relevance = table.columns["machine_summaries"], table.columns["relevance"]
    for row, (texts, scores) in enumerate(zip(summaries, relevance, strict=True)):
        if len(texts) != len(scores):
            raise table.fault(
                row, f"has {len(texts)} machine_summaries and {len(scores)} values of relevance"
            )
    if all(len(set(scores)) < 2 for scores in relevance):
        raise InputError(
            f"{table.file}: relevance is the same for all summaries of each text, so there is nothing to "
            "score. Judge summaries of one text against one another."
        )
