"""What a card says of the forms of an exported model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.errors import ModelError
from yuyi.evaluate.cards.words import LANGUAGES
from yuyi.evaluate.linting.lint import lint
from yuyi.parity import FORMS_BEGIN, FORMS_END, PARITY, Measured, Parity, read_parity, write_parity

from .card_results import card_of, copy

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = Measured(
    "torch float32", "yuyi", (), 120_000, 32, 1.0, 1.0, 1.0, 71.5, 4000.0, 3.25, None
)  # fmt: skip
INT8 = replace(
    WHOLE, target="onnx-int8", files=("onnx/model_quantized.onnx",), bytes=33_000_000, mean=0.998712,
    lowest=0.9912, overlap=0.934, sts=71.25, least=0.998, worst=(("😀", 0.9912),),
    facts={"wider": ["a", "b"]},
)  # fmt: skip
FORMS = (
    INT8,
    replace(INT8, runtime="chromium", overlap=None),
    replace(INT8, target="static", dim=16, mean=None, lowest=None),
)
REPORT = Parity(
    "bert-zh", "1c0ffee0", WHOLE, FORMS, 200, 10_000, 80,
    {"date": "2026-11-26", "machine": "小处理器", "cores": "2", "passages": "yuyi", "pairs": "句对.jsonl"},
)  # fmt: skip


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_parity(tmp_path) is None
    write_parity(tmp_path, REPORT)
    assert read_parity(tmp_path) == REPORT
    assert REPORT.rows()[2] == (
        "onnx-int8, chromium", "33.0", "32", "0.99871", "0.99120", "–", "71.25 (-0.25)", "4,000", "3.25"
    )  # fmt: skip
    assert REPORT.rows()[3][3:5] == ("–", "–")


@pytest.mark.parametrize("text", ["[]", "{}", '{"forms": 3, "reference": {}}', "{", '{"forms": [{}]}'])
def test_a_damaged_report_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / PARITY).write_text(text, "utf-8")
    with pytest.raises(ModelError, match=PARITY):
        read_parity(tmp_path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_section_holds_the_table_and_the_checks_find_nothing(tmp_path: Path, language: Any) -> None:
    folder = copy("bert-zh", tmp_path)
    assert {"en": "## Forms", "zh": "## 导出格式"}[language] not in card_of(folder, language=language)
    write_parity(folder, REPORT)
    card = card_of(folder, language=language)
    section = card.partition({"en": "\n## Forms\n", "zh": "\n## 导出格式\n"}[language])[2].partition("\n## ")[
        0
    ]
    assert {"en": "200 texts of many kinds, the ten nearest of 10,000", "zh": "200 条各类文本"}[
        language
    ] in section
    assert {"en": "小处理器, cores: 2", "zh": "小处理器，2 核"}[language] in section
    assert {"en": "10,000 passages, ", "zh": "10,000 段文字中"}[language] in section
    assert {"en": "80 pairs of 句对.jsonl, ", "zh": "80 个句对（句对.jsonl）评分"}[language] in section
    assert {"en": "bert-zh, torch float32: ", "zh": "bert-zh（torch float32）"}[language] in section
    assert card.count(FORMS_BEGIN) == card.count(FORMS_END) == 1
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(REPORT.rows())
    assert rows[3] == "| onnx-int8 | 33.0 | 32 | 0.99871 | 0.99120 | 93.4 % | 71.25 (-0.25) | 4,000 | 3.25 |"
    (folder / "README.md").write_text(card, "utf-8")
    assert lint(folder) == []
