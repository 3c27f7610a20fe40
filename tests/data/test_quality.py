"""A language model grades pairs through a real server, whatever faults it has, and is paid once a pair."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections import Counter
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from faulty_server import FaultyHandler, FaultyServer, running

from yuyi.config import check_settings
from yuyi.data.folder import DataFolder
from yuyi.data.marking.rubric import RUBRICS, scores_in
from yuyi.data.quality import QualityConfig, judge_quality, plan_quality, quality_scores
from yuyi.data.step import run_step
from yuyi.errors import InputError, RecipeError
from yuyi.records import Mark, Pair, write_marks, write_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Grader(FaultyServer):
    """Speaks the protocol; grades a pair by the digit that its text_b ends with.

    Attributes:
        asked: how often each text_a was shown in a request that was answered.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        super().__init__(Handler)


class Handler(FaultyHandler):
    server: Grader

    def reply(self, body: dict[str, Any], fault: str | None) -> None:
        shown = json.loads(body["messages"][1]["content"])
        if fault == "refuse odd" and not any("不许" in pair["b"] for pair in shown):
            fault = None
        if fault in FAULTS:
            status, headers, text = FAULTS[fault]
            self.answer(status, text, headers)
        elif fault == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            time.sleep({"slow": 1.5, "steady": 0.02}.get(fault or "", 0))
            self.grade(shown, fault)

    def grade(self, shown: list[dict[str, Any]], fault: str | None) -> None:
        scores = {str(pair["id"]): int(pair["b"][-1]) for pair in shown}
        if fault == "missing":
            scores.pop("1")
        text = {
            "prose": "All of these pairs are fine.",
            "thinks": f'<think>{{"1": 0}}</think>\n```json\n{json.dumps(scores)}\n```',
            "out of range": json.dumps(dict.fromkeys(scores, 9)),
        }.get(fault or "", json.dumps(scores))
        with self.server.lock:
            self.server.asked.update(pair["a"] for pair in shown)
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        message = {"role": "assistant", "content": text}
        self.answer(200, json.dumps({"choices": [{"message": message}], "usage": usage}))


FAULTS: dict[str | None, tuple[int, dict[str, str], str]] = {
    "429": (429, {"Retry-After": "0"}, '{"error": {"message": "slow down"}}'),
    "429 date": (429, {"Retry-After": formatdate(time.time() - 5, usegmt=True)}, ""),
    "429 long": (429, {"Retry-After": "1"}, ""),
    "500": (500, {}, "oops"),
    "503": (503, {}, ""),
    "html": (200, {}, "<html>gateway</html>"),
    "no choices": (200, {}, '{"choices": []}'),
    "huge": (200, {}, '{"choices": [{"message": {"content": ""}}], "usage": {"prompt_tokens": 1e999}}'),
    "401": (401, {}, '{"error": {"message": "wrong key"}}'),
    "404": (404, {}, '{"error": {"message": "no model of that name"}}'),
    "refuse odd": (400, {}, '{"error": {"message": "inappropriate content"}}'),
}


@pytest.fixture
def grader() -> Iterator[Grader]:
    with running(Grader()) as server:
        yield server


def pairs(count: int) -> list[Pair]:
    """Half of them Chinese; pair n is worth n modulo 6."""
    return [
        Pair(
            source="zh" if n % 2 else "en",
            kind="qa",
            text_a=f"问题 {n}" if n % 2 else f"question {n}",
            text_b=f"text {n} worth {n % 6}",
            label=None,
            lang="zh" if n % 2 else "en",
            pair_id=f"{n:016x}",
        )
        for n in range(count)
    ]


def folder_of(path: Path, rows: list[Pair], parts: int = 1) -> DataFolder:
    size = -(-len(rows) // parts)

    def make(place: Any) -> dict[str, Any]:
        for part in range(parts):
            write_pairs(place.folder / f"{part:04d}-0000.parquet", rows[part * size : (part + 1) * size])
        return {"rows": len(rows)}

    run_step(path / "pairs", make, settings=[row.text_b for row in rows], inputs={}, code=())
    return DataFolder(path)


def config(grader: Grader, **values: Any) -> QualityConfig:
    settings = {"batch": 4, "wait": 0.01, "timeout": 5.0, "key_variable": "YUYI_TEST_KEY", **values}
    return QualityConfig(base_url=grader.url, model="judge", **settings)


def marked(folder: DataFolder) -> dict[int, float]:
    return {mark.row: mark.value for mark in folder.marks("0000-0000", ["marks/quality"])}


def test_low_scores_are_marked_and_all_are_kept(tmp_path: Path, grader: Grader) -> None:
    folder = folder_of(tmp_path, pairs(12))
    record = judge_quality(folder, config(grader))
    assert quality_scores(folder, "0000-0000") == {n: n % 6 for n in range(12)}
    assert marked(folder) == {n: n % 6 for n in range(12) if n % 6 < 3}
    assert folder.dropped_rows("0000-0000") == set(marked(folder))
    assert record.counts == {
        "rows": 12,
        "seen": {"en": 6, "zh": 6},
        "marked": {"en": {"low quality": 4}, "zh": {"low quality": 2}},
        "ungraded": {},
        "tokens_in": 400,
        "tokens_out": 40,
    }
    assert judge_quality(folder, config(grader, concurrency=1)).kept


def test_requests_have_the_shape_of_the_protocol(
    tmp_path: Path, grader: Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YUYI_TEST_KEY", "sk-secret")
    judge_quality(folder_of(tmp_path, pairs(4)), config(grader, concurrency=1, longest=6))
    for (body, headers), rubric in zip(grader.requests, (RUBRICS["en"], RUBRICS["zh"]), strict=True):
        assert set(body) == {"model", "messages", "temperature"} and body["model"] == "judge"
        assert body["messages"][0] == {"role": "system", "content": rubric}
        assert headers["Authorization"] == "Bearer sk-secret"
        assert headers["Content-Type"] == "application/json"
    shown = json.loads(grader.requests[0][0]["messages"][1]["content"])
    assert shown == [{"id": 1, "a": "questi", "b": "text 0"}, {"id": 2, "a": "questi", "b": "text 2"}]
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"sk-secret" not in written


FAULTY = [
    "429",
    "429 date",
    "500",
    "503",
    "html",
    "no choices",
    "huge",
    "cut",
    "thinks",
    "missing",
    "prose",
    "out of range",
]


@pytest.mark.parametrize("fault", FAULTY)
def test_faults_that_pass_cost_no_score(tmp_path: Path, grader: Grader, fault: str) -> None:
    grader.faults = [fault, fault]
    folder = folder_of(tmp_path, pairs(9))
    judge_quality(folder, config(grader, concurrency=2))
    assert quality_scores(folder, "0000-0000") == {n: n % 6 for n in range(9)}


def test_only_what_an_answer_left_out_is_asked_again(tmp_path: Path, grader: Grader) -> None:
    grader.faults = ["missing"]
    judge_quality(folder_of(tmp_path, pairs(4)), config(grader, concurrency=1))
    assert grader.asked == {"question 0": 2, "question 2": 1, "问题 1": 1, "问题 3": 1}


def test_what_gets_no_score_is_counted_and_not_marked(tmp_path: Path, grader: Grader) -> None:
    grader.always = "prose"
    folder = folder_of(tmp_path, pairs(4))
    record = judge_quality(folder, config(grader, attempts=2))
    assert record.counts["ungraded"] == {"en": {"no answer": 2}, "zh": {"no answer": 2}}
    assert record.counts["seen"] == {}
    assert marked(folder) == {} and len(grader.requests) == 4


def test_pairs_without_a_score_are_asked_about_again(tmp_path: Path, grader: Grader) -> None:
    folder = folder_of(tmp_path, pairs(6))
    grader.faults = ["prose"] * 2
    settings = config(grader, attempts=1, concurrency=1, batch=3)
    first = judge_quality(folder, settings)
    assert first.counts["ungraded"] == {"en": {"no answer": 3}, "zh": {"no answer": 3}}
    grader.faults = ["prose"]
    second = judge_quality(folder, settings)
    assert not second.kept and list(second.counts["ungraded"].values()) == [{"no answer": 3}]
    third = judge_quality(folder, settings)
    assert not third.kept and third.counts["ungraded"] == {}
    assert quality_scores(folder, "0000-0000") == {n: n % 6 for n in range(6)}
    assert judge_quality(folder, settings).kept and len(grader.requests) == 5


def test_another_address_or_other_options_are_another_judge(tmp_path: Path, grader: Grader) -> None:
    folder = folder_of(tmp_path, pairs(2))
    judge_quality(folder, config(grader))
    judge_quality(folder, config(grader, options={"temperature": 1}))
    assert set(grader.asked.values()) == {2}
    elsewhere = replace(config(grader), base_url=grader.url.replace("127.0.0.1", "localhost"))
    assert plan_quality(folder, elsewhere).cached == 0
    assert plan_quality(folder, replace(config(grader), base_url=grader.url + "/")).cached == 2


def test_other_pairs_are_graded_though_these_marks_are_out_of_date(tmp_path: Path, grader: Grader) -> None:
    judge_quality(folder_of(tmp_path, pairs(4)), config(grader))
    folder = folder_of(tmp_path, pairs(8))
    assert judge_quality(folder, config(grader)).counts["rows"] == 8
    assert set(grader.asked.values()) == {1}
    digest = folder.need("pairs").digest
    run_step(tmp_path / "marks/filters", lambda place: {}, settings={}, inputs={"pairs": digest}, code=())
    record = judge_quality(folder, config(grader))
    assert set(record.inputs) == {"pairs", "marks/filters"}
    with pytest.raises(InputError, match=r"marks/filters.*yuyi data filter"):
        judge_quality(folder_of(tmp_path, pairs(9)), config(grader))


def test_without_pairs_nothing_is_written(tmp_path: Path, grader: Grader) -> None:
    for dry_run in (True, False):
        with pytest.raises(InputError, match="yuyi data pairs"):
            judge_quality(DataFolder(tmp_path), config(grader, dry_run=dry_run))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://", "http://a b/v1", "http://例子/v1", "http://h:x/v1"]
)
def test_an_address_that_is_none_is_named(tmp_path: Path, grader: Grader, url: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{url}: no web address")):
        judge_quality(folder_of(tmp_path, pairs(2)), replace(config(grader), base_url=url))


def test_a_key_is_stripped_and_never_shown(
    tmp_path: Path, grader: Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, pairs(2))
    for key in ("sk-one\nsk-two", "sk-密钥"):
        monkeypatch.setenv("YUYI_TEST_KEY", key)
        with pytest.raises(InputError, match=r"YUYI_TEST_KEY: .* no key can") as caught:
            judge_quality(folder, config(grader))
        assert "sk-" not in "".join(traceback.format_exception(caught.value))
    monkeypatch.setenv("YUYI_TEST_KEY", " sk-secret\r\n")
    judge_quality(folder, config(grader))
    assert {headers["Authorization"] for _, headers in grader.requests} == {"Bearer sk-secret"}


def test_a_slow_answer_is_given_up_and_asked_for_again(tmp_path: Path, grader: Grader) -> None:
    grader.faults = ["slow"]
    folder = folder_of(tmp_path, pairs(2))
    judge_quality(folder, config(grader, timeout=0.3))
    assert len(quality_scores(folder, "0000-0000")) == 2 and len(grader.requests) == 3


def test_the_wait_that_the_server_asks_for_is_kept(tmp_path: Path, grader: Grader) -> None:
    grader.faults = ["429 long"]
    begin = time.monotonic()
    judge_quality(folder_of(tmp_path, pairs(1)), config(grader))
    assert 1.0 <= time.monotonic() - begin < 3.0


@pytest.mark.parametrize(
    ("fault", "message", "requests"),
    [
        ("401", r"401 .*wrong key\. Check the address, the model \(judge\) and the key .* YUYI_TEST_KEY", 1),
        ("404", "404 .*no model of that name", 1),
        ("500", "no answer in 3 tries, at last: 500 Internal Server Error: oops", 3),
        ("cut", "no answer in 3 tries", 3),
    ],
)
def test_a_server_that_never_answers_is_one_clear_error(
    tmp_path: Path, grader: Grader, fault: str, message: str, requests: int
) -> None:
    grader.always = fault
    folder = folder_of(tmp_path, pairs(8))
    with pytest.raises(InputError, match=message):
        judge_quality(folder, config(grader, retries=2, concurrency=1))
    assert folder.record("marks/quality") is None
    assert len(grader.requests) <= 2 * requests


def test_no_server_at_all(tmp_path: Path, grader: Grader) -> None:
    settings = replace(config(grader, retries=1), base_url="http://127.0.0.1:9/v1")
    folder = folder_of(tmp_path, pairs(2))
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9/v1/chat/completions: no answer in 2 tries"):
        judge_quality(folder, settings)
    with pytest.raises(InputError, match="localhost: no web address"):
        judge_quality(folder, replace(settings, base_url="localhost"))


def test_a_pair_that_is_refused_does_not_take_others_with_it(tmp_path: Path, grader: Grader) -> None:
    rows = [replace(pair, lang="zh") for pair in pairs(8)]
    rows[5] = replace(rows[5], text_b="不许说的话 5")
    grader.always = "refuse odd"
    folder = folder_of(tmp_path, rows)
    record = judge_quality(folder, config(grader, concurrency=1))
    assert quality_scores(folder, "0000-0000") == {n: n % 6 for n in range(8) if n != 5}
    assert record.counts["ungraded"] == {"zh": {"refused": 1}}


def test_the_budget_is_not_exceeded_and_a_greater_one_goes_on(tmp_path: Path, grader: Grader) -> None:
    folder = folder_of(tmp_path, pairs(40))
    prices = {"price_in": 10_000.0, "price_out": 20_000.0}  # A request costs 1.2.
    plan = plan_quality(folder, config(grader, **prices))
    each = plan.cost / plan.batches
    first = judge_quality(folder, config(grader, budget=2.4 + each + 0.01, **prices))
    assert 2 <= len(grader.requests) <= 3
    left = [why for by_reason in first.counts["ungraded"].values() for why in by_reason.items()]
    assert {why for why, _ in left} == {"budget"}
    assert sum(count for _, count in left) == 40 - 4 * len(grader.requests)
    assert judge_quality(folder, config(grader, budget=1000.0, **prices)).counts["ungraded"] == {}
    assert set(grader.asked.values()) == {1}
    assert len(grader.asked) == 40


def test_a_budget_in_tokens_and_one_of_nothing(tmp_path: Path, grader: Grader) -> None:
    folder = folder_of(tmp_path, pairs(8))
    record = judge_quality(folder, config(grader, budget_tokens=0))
    assert grader.requests == [] and record.counts["ungraded"] == {
        "en": {"budget": 4},
        "zh": {"budget": 4},
    }
    with pytest.raises(RecipeError, match="budget: counts money, and price_in and price_out are 0"):
        check_settings(QualityConfig, {"base_url": "http://x", "model": "m", "budget": 3}, "x.yaml")


def test_a_dry_run_asks_nothing_and_writes_no_marks(tmp_path: Path, grader: Grader) -> None:
    folder = folder_of(tmp_path, pairs(10), parts=2)
    settings = config(grader, dry_run=True, price_in=1.0, price_out=2.0)
    counts = judge_quality(folder, settings).counts
    assert counts["pairs"] == 10 and counts["batches"] == 4 and counts["cached"] == 0
    assert counts["cost"] == pytest.approx((counts["tokens_in"] + 2 * counts["tokens_out"]) / 1e6)
    assert grader.requests == [] and folder.record("marks/quality") is None
    assert {file.name for file in tmp_path.iterdir()} == {"pairs", ".pairs.lock"}
    judge_quality(folder, replace(settings, dry_run=False))
    assert len(grader.requests) == 4
    assert judge_quality(folder, settings).counts["cached"] == 10


@pytest.mark.parametrize("sample", [7, 0.25])
def test_a_sample_is_always_the_same(tmp_path: Path, grader: Grader, sample: float) -> None:
    rows = pairs(60)
    judge_quality(folder_of(tmp_path / "a", rows), config(grader, sample=sample))
    first, grader.asked = grader.asked, Counter()
    judge_quality(folder_of(tmp_path / "b", rows, parts=3), config(grader, sample=sample))
    assert grader.asked == first
    assert len(first) == 7 if sample == 7 else 5 < len(first) < 25


def test_judged_and_marked_pairs_are_not_paid_for(tmp_path: Path, grader: Grader) -> None:
    rows = [replace(pair, label=1.0) if row < 3 else pair for row, pair in enumerate(pairs(8))]
    folder = folder_of(tmp_path, rows)

    def mark(place: Any) -> dict[str, Any]:
        marks = [Mark(row, "", "too short", 1.0) for row in (3, 4)]
        return {"rows": write_marks(place.folder / "0000-0000.parquet", marks)}

    digest = folder.need("pairs").digest
    run_step(tmp_path / "marks/filters", mark, settings={}, inputs={"pairs": digest}, code=())
    judge_quality(folder, config(grader))
    assert sorted(quality_scores(folder, "0000-0000")) == [5, 6, 7]


def test_texts_that_come_twice_are_asked_about_once(tmp_path: Path, grader: Grader) -> None:
    folder = folder_of(tmp_path, pairs(5) + pairs(5))
    judge_quality(folder, config(grader, batch=50))
    assert set(grader.asked.values()) == {1} and len(quality_scores(folder, "0000-0000")) == 10


KILLED = """
import sys
from pathlib import Path
from yuyi.data.folder import DataFolder
from yuyi.data.quality import QualityConfig, judge_quality
if __name__ == "__main__":
    folder, url = sys.argv[1:]
    settings = QualityConfig(base_url=url, model="judge", batch=4, concurrency=3)
    judge_quality(DataFolder(Path(folder)), settings)
"""


def test_a_killed_run_pays_for_no_answer_twice(tmp_path: Path, grader: Grader) -> None:
    grader.always = "steady"
    folder = folder_of(tmp_path, pairs(400))
    command = [sys.executable, "-c", KILLED, str(tmp_path), grader.url]
    for rounds in (1, 2):
        process = subprocess.Popen(command, start_new_session=True)
        while len(grader.requests) < 25 * rounds:
            assert process.poll() is None
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert folder.record("marks/quality") is None
    subprocess.run(command, check=True)
    assert quality_scores(folder, "0000-0000") == {n: n % 6 for n in range(400)}
    # Only what was on its way at a kill is asked about again.
    assert sum(count - 1 for count in grader.asked.values()) <= 2 * 3 * 4


@pytest.mark.parametrize(
    ("answer", "scores"),
    [
        ('{"1": 4, "2": 0}', {0: 4.0, 1: 0.0}),
        ('好的：\n```json\n{"1": "3.5", "2": 5}\n```', {0: 3.5, 1: 5.0}),
        ('{"1": 1} {"1": 2, "3": 4}', {0: 2.0}),
        ('{"1": 7, "2": true, "x": 3}', {}),
        ('{"1": NaN, "2": [1]}', {}),
        ("[1, 2]", {}),
        ('{"1": 1' + "0" * 400 + ', "2": 3}', {1: 3.0}),
        ('{"1": 1' + "0" * 5_000 + "}", {}),
        ('{"1' + "0" * 5_000 + '": 3, "2": 4}', {1: 4.0}),
        ('{"1": ' + "[" * 100_000 + "]" * 100_000 + "}", {}),
        ("", {}),
    ],
)
def test_scores_are_read_out_of_answers(answer: str, scores: dict[int, float]) -> None:
    assert scores_in(answer, 2) == scores
