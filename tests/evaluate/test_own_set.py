"""The page on evaluation: its example runs as it stands, its errors are those that are raised."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.errors import YuyiError
from yuyi.evaluate.run import evaluate
from yuyi.evaluate.tasks.kinds import KINDS
from yuyi.evaluate.tasks.local import local_tasks

from .bigrams import BigramEncoder
from .sets import write

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text("utf-8")


def block(language: str) -> str:
    """The first block of the page in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def shop(folder: Path, rows: str = block("jsonl"), manifest: str = block("yaml")) -> None:
    (folder / "questions.jsonl").write_text(rows, "utf-8")
    (folder / "tasks.yaml").write_text(manifest, "utf-8")


def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    assert len(block("yaml").splitlines()) <= 10
    shop(tmp_path)
    [task] = local_tasks(tmp_path)
    assert (task.name, task.rows, task.sources) == ("shop-questions", 4, ("shop_forum",))
    [result] = evaluate(BigramEncoder(), [task])
    assert (result.metric, result.type) == ("max_ap", "PairClassification")
    assert 0.5 <= result.main_score <= 1
    assert task.open().dataset["test"]["label"] == [1, 0, 1, 0]


def test_the_table_of_types_is_that_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `([A-Z]\w+)` \|.*\| `(\w+)` \|$", PAGE, re.MULTILINE))
    assert rows == {kind.name: kind.metric for kind in KINDS.values()}
    for kind in KINDS.values():
        [line] = re.findall(rf"^\| `{kind.name}` \|.*$", PAGE, re.MULTILINE)
        assert all(f"`{column}`" in line for column in kind.columns), kind.name


def faq(folder: Path, *judged: tuple[str, str]) -> None:
    rows: dict[str, list[dict[str, Any]]] = {
        "queries": [{"id": f"q{i}", "text": "问"} for i in (1, 2)],
        "corpus": [{"id": "d1", "text": "答"}],
        "qrels": [{"query_id": query, "corpus_id": document, "score": 1} for query, document in judged],
    }
    for part, content in rows.items():
        (folder / f"faq.{part}.jsonl").write_text("\n".join(map(json.dumps, content)), "utf-8")


def maybe(folder: Path) -> None:
    first, second, third, *_ = block("jsonl").splitlines()
    shop(folder, "\n".join((first, second, third.replace("yes", "maybe"))))


def not_a_number(folder: Path) -> None:
    pair = {"sentence1": "a", "sentence2": "b", "score": 1.0}
    write(folder / "sts.parquet", [*[pair] * 17, {**pair, "score": float("nan")}])


def unknown_document(folder: Path) -> None:
    faq(folder, ("q1", "d1"), ("q2", "d1"), ("q1", "d9"))


FAULTS: list[Callable[[Path], None]] = [
    maybe,
    not_a_number,
    unknown_document,
    lambda folder: faq(folder, ("q1", "d1")),
    lambda folder: shop(folder, manifest=block("yaml").replace("max_ap", "cosine_app")),
]


@pytest.mark.parametrize(("line", "spoil"), list(zip(block("text").splitlines(), FAULTS, strict=True)))
def test_the_errors_are_those_of_the_page(tmp_path: Path, line: str, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path)
    with pytest.raises(YuyiError) as error:
        local_tasks(tmp_path)[0].open()
    assert str(error.value) == f"{tmp_path}/{line}"
