"""README.md of an exported folder: whose card it is, what it tells of forms, and that its code runs."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import yuyi
from yuyi.artifacts import is_sealed, sealed
from yuyi.export.base import write_base
from yuyi.export.card import write_card
from yuyi.export.form import Form
from yuyi.export.onnx_forms import told_limits, write_float32
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import open_source
from yuyi.export.static_forms import write_folder, write_static_form
from yuyi.parity import Measured, Parity

if TYPE_CHECKING:
    from yuyi.export.source import Source

TINY = Path(__file__).parent.parent / "tiny"
WHOLE = Measured("torch float32", "yuyi", (), 120_000, 32, 1.0, 1.0, 1.0, 71.5, 4000.0, 3.25, None)
ABOUT = {"date": "2026-11-26", "machine": "小处理器", "cores": "2", "passages": "yuyi", "pairs": "句对.jsonl",
         "yuyi": "0.1.0"}  # fmt: skip
HAND = """\
---
license: mit
language:
- zh
- en
tags: [mine]
---

# 我的模型

A card that somebody wrote. 有人写的。
"""


def report(*targets: str) -> Parity:
    forms = tuple(replace(WHOLE, target=target, mean=0.9991) for target in targets)
    return Parity("bert-zh", "1c0f", WHOLE, forms, 200, 10_000, 80, ABOUT)


def card(
    folder: Path, source: Source, forms: list[Form], parity: Parity | None = None, given: str = ""
) -> str:
    folder.mkdir(exist_ok=True)
    parity = parity or report(*(form.target for form in forms))
    write_card(folder, folder.name, given, source, forms, parity)
    return (folder / "README.md").read_text("utf-8")


def model_with(text: str | None, place: Path) -> Source:
    folder = shutil.copytree(TINY / "bert-zh", place / "模型")
    (folder / "README.md").unlink(missing_ok=True)
    if text is not None:
        (folder / "README.md").write_text(text, "utf-8")
    return open_source(folder, Smaller())


def head_of(text: str) -> Any:
    return yaml.safe_load(text.split("---\n")[1])


ONNX = {"backend": "onnx", "dtype": "float32"}
FACTS = {"wider": [{"name": f"layers.{row}"} for row in range(12)], "empty": [], "share": 0.123456789}
FORMS = [
    Form("onnx", ("onnx/model.onnx",), 0.9, options=ONNX, facts={"opset": 17}),
    Form("browser", ("onnx/model_quantized.onnx",), 0.9, options={**ONNX, "dtype": "int8"}, facts=FACTS),
]


def test_a_card_that_somebody_wrote_stays_and_gets_a_section(tmp_path: Path) -> None:
    source = model_with(HAND, tmp_path)
    text = card(tmp_path / "out", source, FORMS)
    assert text.startswith(HAND)
    assert not is_sealed(text)
    assert text.count("## Forms") == 1
    again = model_with(text, tmp_path / "2")
    assert card(tmp_path / "out", again, FORMS) == text


def test_a_card_of_yuyis_stays_yuyis(tmp_path: Path) -> None:
    source = model_with(sealed(HAND), tmp_path)
    text = card(tmp_path / "out", source, FORMS)
    assert text.startswith(HAND)
    assert is_sealed(text)
    assert text.count("yuyi wrote this") == 1
    again = model_with(text, tmp_path / "2")
    assert card(tmp_path / "out", again, FORMS) == text


def test_without_a_card_there_is_a_new_one(tmp_path: Path) -> None:
    text = card(tmp_path / "小", model_with(None, tmp_path), FORMS, given="Supabase/gte-small")
    assert is_sealed(text)
    assert not (tmp_path / "小" / "SOURCE.md").exists()
    head = head_of(text)
    assert head["base_model"] == "Supabase/gte-small"
    assert head["tags"] == ["sentence-transformers", "feature-extraction", "onnx", "transformers.js"]
    assert "# 小\n\nForms of 模型, made by `yuyi export`." not in text  # named as in the report
    assert "# 小\n\nForms of bert-zh, made by `yuyi export`." in text


def test_a_model_that_was_cut_gets_its_own_card(tmp_path: Path) -> None:
    source = model_with(HAND, tmp_path)
    text = card(tmp_path / "out", source, FORMS, report("smaller", "onnx", "browser"))
    assert (tmp_path / "out" / "SOURCE.md").read_text("utf-8") == HAND
    head = head_of(text)
    assert (head["license"], head["language"]) == ("mit", ["zh", "en"])
    assert "mine" not in head["tags"]
    assert "Smaller than bert-zh" in text and "[SOURCE.md](SOURCE.md)" in text
    assert is_sealed(text)


def test_the_section_tells_figures_files_and_facts(tmp_path: Path) -> None:
    text = card(tmp_path / "out", model_with(None, tmp_path), FORMS)
    assert "| onnx | 0.12 | 32 | 0.99910 | 1.00000 | 100.0 % | 71.50 (+0.00) | 4,000 | 3.25 |" in text
    assert "200 texts of many kinds" in text and "小处理器, cores: 2" in text
    assert "80 pairs of 句对.jsonl" in text and "10,000 passages, " in text
    assert "- onnx: `onnx/model.onnx`; opset 17\n" in text
    assert (
        "wider layers.0, layers.1, " in text
        and "layers.7 and 4 more; share 0.123457\n" in text
        and "empty" not in text
    )
    for kind in ("ts", "html", "js"):
        assert len(re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)) == 1


def test_the_record_of_training_goes_along(tmp_path: Path) -> None:
    source = model_with(None, tmp_path)
    card(tmp_path / "out", source, FORMS)
    assert not (tmp_path / "out" / "training.json").exists()
    record = {"license": "mit", "languages": ["zh"]}
    (source.reference.folder / "training.json").write_text(json.dumps(record), "utf-8")
    card(tmp_path / "out", source, FORMS)
    assert json.loads((tmp_path / "out" / "training.json").read_text("utf-8")) == record


def test_prompts_that_are_left_out_of_pooling_leave_no_javascript(tmp_path: Path) -> None:
    source = model_with(None, tmp_path)
    folder = source.reference.folder
    texts = {"prompts": {"q": "问题："}, "default_prompt_name": "q"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(texts), "utf-8")
    pooled = card(tmp_path / "pooled", asks := open_source(folder, Smaller()), FORMS)
    assert pooled.count("tokenizer('问题：' + text, {") == 3
    assert [told_limits(form, asks) for form in FORMS] == FORMS
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({**json.loads(pooling.read_text()), "include_prompt": False}))
    source = open_source(folder, Smaller())
    text = card(tmp_path / "left", source, [told_limits(form, source) for form in FORMS])
    assert "Transformers.js" not in text and "Deno" not in text
    assert text.count("sentence embedding right for texts without a prompt alone") == len(FORMS)


@pytest.mark.parametrize("name", ["bert-zh", "static"])
def test_the_python_of_the_card_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source, settings = (
        open_source(TINY / name, Smaller()),
        ExportSettings(targets=("onnx", "folder", "static")),
    )
    folder = tmp_path / "out"
    folder.mkdir()
    write_base(folder, source, settings.targets)
    forms = [write_float32(folder, source, settings), write_folder(folder, source, settings)]
    if name == "static":
        forms.append(write_static_form(folder, source, settings))
    text = card(folder, source, forms)
    ours, theirs = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(re.findall("^model = ", ours, re.MULTILINE)) == 1
    assert {target for told in re.findall(r"  # (.*)", ours) for target in told.split(", ")} == {
        form.target for form in forms
    }
    expected = yuyi.load(TINY / name).encode(["护照 passport"])
    for code in (ours, theirs):
        every = code.replace("# model", "model").splitlines()
        opening, *lines = [line for line in every if line.startswith(("import", "from", "model"))]
        for line in lines:
            # The ONNX backend of sentence-transformers needs a package that is not beside transformers 5.
            if code is ours or "onnx" not in line:
                space: dict[str, Any] = {}
                exec(compile(f"{opening}\n{line}", name, "exec"), space)
                assert space["model"].encode(["护照 passport"])[0] @ expected[0] == pytest.approx(1, abs=1e-3)
    exec(compile(ours, name, "exec"), {})
    assert "(2, 32)" in capsys.readouterr().out
