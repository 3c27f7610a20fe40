"""Counts add up, and the page shows hostile texts without obeying them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest
from folders import data_folder, document, mark, pair

from yuyi.data.mixture import MixtureConfig, mix
from yuyi.data.showing import svg
from yuyi.data.showing.report import write_report
from yuyi.data.showing.statistics import LENGTH_EDGES, find_statistics
from yuyi.errors import InputError
from yuyi.records import Mark

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
    assert svg.values(np.array([np.nan]), {}) == ""
    assert "No lengths" in svg.lengths(LENGTH_EDGES, *np.zeros((2, len(LENGTH_EDGES)), np.int64))
