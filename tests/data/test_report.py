"""Counts add up, and the page shows hostile texts without obeying them."""

from __future__ import annotations

import ast
import inspect
import json
import re
from dataclasses import fields
from html.parser import HTMLParser
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from folders import data_folder, document, mark, pair, step

from yuyi.data import consistency, decontaminate, dedupe, filters, quality
from yuyi.data.marking import evaluation_texts, filter_rules
from yuyi.data.mixture import MixtureConfig, mix
from yuyi.data.reasons import Reasons
from yuyi.data.showing import svg
from yuyi.data.showing.limits import LIMITS, limits_of
from yuyi.data.showing.report import write_report
from yuyi.data.showing.statistics import LENGTH_EDGES, find_statistics
from yuyi.errors import InputError
from yuyi.records import Mark, write_marks

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.data.folder import DataFolder

HOSTILE = "</div><script>alert('x')</script>\x00\u202e\"&<img src=http://example.org/x onerror=1> 中文"


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    forum = [pair("forum", "qa", number, lang="en", tokens_b=number) for number in range(300)]
    forum[7] = pair("forum", "qa", 7, lang="en", tokens_b=7, text_a=HOSTILE, text_b=HOSTILE * 90)
    texts = [document("文档", "a", "正文"), document("文档", "b", "正文二")]
    pairs = [pair("文档", "标题_lead", number, doc_id="ab"[number % 2], tokens_b=-1) for number in range(50)]
    data = data_folder(tmp_path / "数据 <b>", {"0000-0000": pairs, "0001-0000": forum}, {"0000-0000": texts})
    # One pair has both sides too short, and eleven to twenty have a second reason.
    short = [Mark(row, "", "too short", float(row)) for row in [3, *range(20)]]
    mark(data, "filters", {"0001-0000": short})
    near = [Mark(row, "", "near duplicate", 0.8 + row / 1000, "forum <i>") for row in range(10, 30)]
    mark(data, "duplicates", {"0001-0000": near})
    mark(data, "documents", {"0000-0000": [Mark(1, "b", "near duplicate", 0.9, "文档 a")]}, on="documents")
    return data


def test_counts_add_up(folder: DataFolder) -> None:
    found = find_statistics(folder, samples=6)
    assert (found.pairs.made, found.pairs.kept) == (350, 350 - 25 - 30)
    assert {name: (one.made, one.kept) for name, one in found.sources.items()} == {
        "forum": (300, 270),
        "文档": (50, 25),
    }
    assert list(found.languages) == ["en", "zh"] and found.rules["标题_lead"].kept == 25
    assert found.funnel == {
        "pairs": 350,
        "marks/documents": 325,
        "marks/filters": 305,
        "marks/duplicates": 295,
    }
    reasons = {one.reason: (one.step, one.pairs, one.alone, len(one.values)) for one in found.reasons}
    assert reasons == {
        "document: near duplicate": ("marks/documents", 25, 25, 25),
        "too short": ("marks/filters", 20, 10, 21),
        "near duplicate": ("marks/duplicates", 20, 10, 20),
    }
    assert found.documents == {"文档": 2} and found.documents_marked == 1


def test_lengths_are_counted_by_side_and_fate(folder: DataFolder) -> None:
    found = find_statistics(folder, samples=0)
    dropped, kept = found.lengths["text_b"]
    assert dropped.sum() == 30 and kept.sum() == 270  # Those of the first source are not known.
    place = np.searchsorted(LENGTH_EDGES, 64)
    assert LENGTH_EDGES[place : place + 2].tolist() == [64, 91] and kept[place] == 27
    assert found.lengths["text_a"].sum() == 350


def test_samples_are_of_the_reason_and_the_same_every_time(folder: DataFolder) -> None:
    first, again = find_statistics(folder, samples=6), find_statistics(folder, samples=6)
    for one in first.reasons:
        assert len(one.samples) == 6
        assert all(one.reason in [mark.reason for mark in each.marks] for each in one.samples)
    assert all(not each.marks for some in first.kept_samples.values() for each in some)
    assert [one.samples for one in first.reasons] == [one.samples for one in again.reasons]
    other = find_statistics(folder, samples=6, seed=1)
    assert first.kept_samples != other.kept_samples


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_hostile_texts_are_shown_and_do_nothing(folder: DataFolder) -> None:
    page = write_report(folder).read_text("utf-8")
    tags = _Tags()
    tags.feed(page)
    assert not tags.open and not tags.seen & {"script", "img", "link", "iframe"}
    assert not {name for name in tags.attributes if name.startswith("on")}
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;⟨0000⟩⟨202E⟩" in page
    assert "\u202e" not in page and "\x00" not in page and "forum &lt;i&gt;" in page
    assert "<h1>数据 &lt;b&gt;</h1>" in page
    assert not re.search(r'(?:src|href)="(?!#)', page)


def test_the_page_has_every_section(folder: DataFolder) -> None:
    mix(folder, MixtureConfig(), workers=1)
    page = write_report(folder).read_text("utf-8")
    for section in ("sources", "rules", "reasons", "lengths", "languages", "examples", "mixture", "steps"):
        assert f'<h2 id="{section}">' in page
    assert "document: near duplicate" in page and "84.3%" in page


def test_an_outdated_training_set_is_told_and_has_no_figures(folder: DataFolder) -> None:
    mix(folder, MixtureConfig(), workers=1)
    assert "<code>" in section(write_report(folder), "mixture")
    mark(folder, "evaluation", {"0001-0000": [Mark(200, "", "equals evaluation", 1.0)]})
    told = section(write_report(folder), "mixture")
    assert "Out of date" in told and "marks/evaluation" in told and "yuyi data mix" in told
    assert "<table>" not in told and "sha256" not in told


def mined(folder: DataFolder) -> None:
    example = {
        "source": "forum", "query": "how <b>", "positive": "so", "negative": HOSTILE, "positive_score": 0.9,
        "negative_score": 0.5, "coverage": 0.25, "random_coverage": 0.0,
    }  # fmt: skip
    estimate = {
        "hidden_answers": {
            "pairs": 40, "answers": 60, "mined": 400, "returned": 3, "share_of_negatives": 0.0075,
            "share_of_answers": 0.05,
        },
        "covered_answers": {"sample": 200, "share_of_negatives": 0.065, "share_by_chance": 0.005},
        "examples": {"most_covered": [example], "random": [example] * 9},
    }  # fmt: skip
    step(
        folder,
        "negatives",
        {"pairs": folder.need("pairs").digest, **Reasons(folder).digests()},
        {"estimate.json": lambda file: file.write_text(json.dumps(estimate), "utf-8")},
        counts={"rows": 270, "pairs": {"forum": 270}, "mined": {"forum": 1620}},
    )


def test_hard_negatives_are_shown_with_the_estimate_of_false_ones(folder: DataFolder) -> None:
    assert 'id="negatives"' not in write_report(folder).read_text("utf-8")
    mined(folder)
    told = section(write_report(folder), "negatives")
    assert "1,620" in told and "<b>0.75%</b>" in told and "<b>6.5%</b>" in told and "0.5% of random" in told
    assert told.count("&lt;script&gt;") == 6 and "<script>" not in told and "says 25%" in told
    mark(folder, "evaluation", {"0001-0000": [Mark(200, "", "equals evaluation", 1.0)]})
    told = section(write_report(folder), "negatives")
    assert "Out of date" in told and "yuyi data mine" in told and "1,620" not in told


def test_scores_of_quality_are_shown_where_pairs_were_graded(folder: DataFolder) -> None:
    assert 'id="quality"' not in write_report(folder).read_text("utf-8")
    scores = [Mark(row, "", "score", float(row % 6)) for row in range(30, 90)]
    step(
        folder,
        "marks/quality",
        {"pairs": folder.need("pairs").digest},
        {
            "0001-0000.scores.parquet": lambda file: write_marks(file, scores),
            "0001-0000.parquet": lambda file: write_marks(
                file, [Mark(one.row, "", "low quality", one.value) for one in scores if one.value < 3]
            ),
        },
        settings={"model": "<judge>", "least": 3.0},
    )
    assert find_statistics(folder).pairs.kept == 350 - 25 - 30 - 30
    told = section(write_report(folder), "quality")
    assert "&lt;judge&gt; graded 60 pairs" in told and "30 of them, 50.0%" in told and "least 3" in told


def section(page: Path, key: str) -> str:
    return page.read_text("utf-8").split(f'<h2 id="{key}">')[1].split("<h2")[0]


def reasons_in_code() -> set[str]:
    """The reasons that the steps that mark give, as their code has them."""
    found: set[str] = {*dedupe._REASONS, *get_args(evaluation_texts.Reason), consistency.REASON}
    for module in (filter_rules, filters):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Tuple) and len(node.elts) == 2:
                match node.elts:
                    case [_, ast.Constant(str())]:
                        pass
                    case [ast.Constant(str(reason)), _]:
                        found.add(reason)
                    case [ast.JoinedStr(), _]:
                        found |= {"simplified script", "traditional script"}
    found.update(re.findall(r'pair_id, "([a-z ]+)", ', inspect.getsource(quality)))
    return found - {"score"}


def test_every_reason_has_a_limit_or_none_on_purpose() -> None:
    found = reasons_in_code()
    assert {"too short", "low quality", "blocklist", "links", "near evaluation", "empty"} <= found
    assert found == set(LIMITS)
    settings = {
        reason: config
        for config, some in (
            (filters.FiltersConfig, ["too long", "incomplete", "blocklist", "code", "copied", "links"]),
            (filters.FiltersConfig, ["repetition", "symbols", "digits", "boilerplate"]),
            (dedupe.DedupeConfig, ["near duplicate", "repeated answer", "repeated question"]),
            (decontaminate.DecontaminateConfig, ["near evaluation", "resembles evaluation"]),
            (quality.QualityConfig, ["low quality"]),
        )
        for reason in some
    }
    assert settings.keys() == {reason for reason, names in LIMITS.items() if names}
    for reason, config in settings.items():
        assert set(LIMITS[reason]) <= {each.name for each in fields(config)}


def test_limits_are_those_of_the_step_that_gave_the_reason() -> None:
    settings = {"near": 0.8, "longest_a": 64, "longest_b": None, "shortest_a": 1.0, "least": 3}
    assert limits_of("document: near duplicate", settings) == {"near": 0.8}
    assert limits_of("too long", settings) == {"longest_a": 64}
    assert limits_of("too short", settings) == limits_of("what a plugin says", settings) == {}


def test_pairs_without_marks_and_no_pairs_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no finished pairs. Run: yuyi data pairs"):
        write_report(data_folder(tmp_path / "none", {}).__class__(tmp_path))
    plain = data_folder(tmp_path / "plain", {"0000-0000": [pair("s", "qa", 1)]})
    assert "No step has marked a pair." in write_report(plain).read_text("utf-8")
    empty = data_folder(tmp_path / "empty", {"0000-0000": []})
    assert find_statistics(empty).pairs.made == 0 and write_report(empty).exists()


def test_histograms_show_limits_and_single_values() -> None:
    assert "always 1 (limit: near 0.8)" in svg.values(np.ones(5), {"near": 0.8})
    chart = svg.values(np.array([1.0, 2.0, 2.0, 1e6] * 100), {"shortest_b": 10.0})
    assert "shortest_b 10" in chart and chart.count("<rect") >= 2
    # Six scores have six bars of 55, and the limit stands before that of its own.
    chart = svg.values(np.arange(6.0), {"least": 3.0})
    assert chart.count("<rect") == 6 and 'class="limit" x1="165.0"' in chart
    assert svg.values(np.arange(6.0) / 5, {}).count("<rect") == 6
    assert svg.values(np.array([np.nan]), {}) == ""
    assert "No lengths" in svg.lengths(LENGTH_EDGES, *np.zeros((2, len(LENGTH_EDGES)), np.int64))
