"""`yuyi export` as a process: a folder of forms, what is refused, and that nothing is left of what fails."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import yuyi as library
from yuyi.parity import read_parity

if TYPE_CHECKING:
    from .conftest import Run

TINY = Path(__file__).parent.parent / "tiny"
MODEL = str(TINY / "bert-zh")
PASSAGES = [
    "护照在哪里办", "weather in spring", "退款多久到账", "how to cook rice", "今天下雨", "late trains",
    "猫睡觉", "a dog runs", "电影好看", "loud music", "茶", "a cup of tea",
]  # fmt: skip
HEADINGS = ["form", "MB", "dim", "cosine", "lowest", "top", "10", "STS", "texts/s", "start"]


@pytest.fixture
def passages(tmp_path: Path) -> str:
    (tmp_path / "段落.txt").write_text("\n".join(PASSAGES), "utf-8")
    return "段落.txt"


def left(folder: Path) -> list[str]:
    """What is in a folder, hidden files included, but for what tests put there."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("段落.txt", "in.txt", "model"))


def test_forms_are_written_and_their_cost_is_told(yuyi: Run, tmp_path: Path, passages: str) -> None:
    done = yuyi("export", MODEL, "-o", "形式", "--to", "onnx, folder,onnx", "--passages", passages)
    assert done.code == 0, done.err
    heading, whole, onnx, folder, last = done.out.splitlines()
    assert heading.split() == [
        "form",
        "MB",
        "dim",
        "cosine",
        "lowest",
        "top",
        "10",
        "STS",
        "texts/s",
        "start",
    ]
    assert whole.startswith("torch float32") and onnx.split()[:5] == [
        "onnx",
        "0.12",
        "32",
        "1.00000",
        "1.00000",
    ]
    assert folder.startswith("folder")
    assert last.startswith("形式: ") and last.endswith(" MB")
    assert max(map(len, done.out.splitlines())) <= 80
    out = tmp_path / "形式"
    parity = read_parity(out)
    assert parity is not None and parity.passages == len(PASSAGES)
    assert "## Forms" in (out / "README.md").read_text("utf-8")
    for backend in ("onnx", "torch"):
        vector = library.load(out, backend=backend, dtype="float32").encode("护照")  # type: ignore[arg-type]
        expected = library.load(MODEL, backend="torch", dtype="float32").encode("护照")
        assert vector @ expected == pytest.approx(1, abs=1e-5)
    assert left(tmp_path) == ["形式"]
    again = yuyi("export", MODEL, "-o", "形式")
    assert again.error == "形式: there is something already. Choose another folder, or add --force."
    assert read_parity(out) == parity


def test_json_of_the_embedded_model_in_place_of_what_is_there(
    yuyi: Run, tmp_path: Path, passages: str
) -> None:
    (tmp_path / "out").mkdir()
    model = ("export", str(TINY / "static"), "-o", "out", "--to", "onnx,static", "--passages", passages)
    done = yuyi(*model, "--force", "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert [form["target"] for form in said["forms"]] == ["onnx", "static"]
    assert said["reference"]["target"] == "static int8"
    (tmp_path / "out" / "old").write_text("x")
    done = yuyi(*model, "--force", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert not (tmp_path / "out" / "old").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--to", "onnx,tflite"],
            "--to: 'tflite': no such form. Choose of onnx, onnx-int8, onnx-fp16, browser",
        ),
        (["--to", " , "], "--to: no form is asked for"),
        (["--to", "onnx-int8", "--calibration", "absent.txt"], "absent.txt"),
        (["--to", "onnx-int8", "--calibration", "空.txt"], "空.txt"),
        (["--passages", "空.txt"], "空.txt: holds 0 different texts"),
        (["--sts", "absent.jsonl"], "absent.jsonl"),
        (["--least", "1.5"], "--least 1.5: no cosine to ask for"),
        (["--pooling", "middle"], "pooling='middle'"),
        (["--dim", "64"], "--dim 64"),
        (["--layers", "9"], "--layers 9"),
        (["--pieces", "100"], "--pieces 100"),
        (["--javascript", "."], "node_modules/@huggingface/transformers"),
        (["--distil-dim", "0", "--to", "static"], "dim is 0"),
        (["-o", "no/such/place"], "no/such/place: cannot be written"),
        (["-o", "in.txt", "--force"], "in.txt: is no folder"),
    ],
)
def test_misuse_is_one_clear_line_and_leaves_nothing(
    yuyi: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "空.txt").write_text("\n \n", "utf-8")
    (tmp_path / "in.txt").write_text("x")
    done = yuyi("export", MODEL, "-o", "out", *arguments)
    assert message in done.error
    assert left(tmp_path) == ["空.txt"]


def test_models_that_cannot_be_opened(yuyi: Run, tmp_path: Path) -> None:
    assert "absent" in yuyi("export", "absent", "-o", "out", YUYI_OFFLINE="1").error
    assert "pooling" in yuyi("export", str(TINY / "bert-plain"), "-o", "out").error
    model = shutil.copytree(TINY / "bert-dense", tmp_path / "model")
    path = model / "2_Dense" / "config.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**config, "activation_function": "my_package.layers.Swish7"}), "utf-8")
    error = yuyi("export", "model", "-o", "out").error
    assert error.endswith(
        "2_Dense/config.json: activation 'Swish7' is not one of Identity, Tanh, ReLU, GELU, SiLU, Sigmoid. "
        "Choose another model."
    )
    assert left(tmp_path) == []


def test_a_model_is_not_replaced_by_its_forms(yuyi: Run, tmp_path: Path) -> None:
    model = shutil.copytree(TINY / "bert-zh", tmp_path / "model")
    before = sorted(path.name for path in model.rglob("*"))
    (model / "parity.json").write_text("{}")
    before.append("parity.json")
    error = yuyi("export", "model", "-o", "model", "--force").error
    assert error == "model: the model itself is in it, and would be lost. Choose another folder."
    assert sorted(path.name for path in model.rglob("*")) == sorted(before)


def test_a_form_too_far_off_is_not_published(yuyi: Run, tmp_path: Path, passages: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "parity.json").write_text("{}")
    least = ("--least", "0.99999999", "--force")
    done = yuyi("export", MODEL, "-o", "out", "--to", "onnx,onnx-int8", "--passages", passages, *least)
    assert done.error.startswith("bert-zh as onnx-int8: mean cosine 0.99")
    assert "at least 0.99999999 is asked for; nothing was written. Worst: '" in done.error
    assert left(tmp_path) == ["out"]
    assert left(tmp_path / "out") == ["parity.json"]


@pytest.mark.parametrize(
    ("name", "form", "size"),
    [("bert-zh", "onnx", 100_000), ("bert-zh", "folder", 100_000), ("bert-zh", "onnx-int8", 2_000),
     ("static", "static", 4_000), ("static", "static", 20_000)],
)  # fmt: skip
def test_a_full_disk_leaves_nothing(tmp_path: Path, name: str, form: str, size: int) -> None:
    code = f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
from yuyi.cli.app import run
run()
"""
    command = [sys.executable, "-c", code, "export", str(TINY / name), "-o", "out", "--to", form]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert re.match(r"error: out: cannot be written \(.*File too large.*\)\.", done.stderr)
    assert left(tmp_path) == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_what_is_stopped_leaves_no_folder(tmp_path: Path, stop: signal.Signals) -> None:
    command = [sys.executable, "-m", "yuyi", "export", MODEL, "-o", "out", "--to", "onnx"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".out.*/onnx/model.onnx")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(stop)
    _, error = process.communicate(timeout=60)
    assert not (tmp_path / "out").exists()
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert error.decode().strip() == "stopped; nothing was half-written"
        assert left(tmp_path) == []
