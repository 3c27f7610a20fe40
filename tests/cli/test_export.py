"""`yuyi export`: a folder of forms, what is refused, and that nothing is left of what fails.

Most of it runs in this process, which has imported torch already, and measures every time once.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import yuyi as library
from yuyi.cli.app import app
from yuyi.errors import YuyiError
from yuyi.export.verifying.verify import verify
from yuyi.parity import read_parity

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

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


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `yuyi export` in this process, in the folder `tmp_path`, 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("YUYI_OFFLINE", "1")
    monkeypatch.setattr("yuyi.export.export.verify", partial(verify, rounds=1))
    return lambda *arguments: CliRunner().invoke(app, ["export", *arguments])


@pytest.fixture
def refusal(export: Callable[..., Result]) -> Callable[..., str]:
    """What `yuyi export` says where it refuses."""

    def run(*arguments: str) -> str:
        done = export(*arguments)
        assert isinstance(done.exception, YuyiError), done.exception
        assert done.output == ""
        return str(done.exception)

    return run


def left(folder: Path) -> list[str]:
    """What is in a folder, hidden files included, but for what tests put there."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("段落.txt", "in.txt", "model"))


def test_forms_are_written_and_their_cost_is_told(
    export: Callable[..., Result], tmp_path: Path, passages: str
) -> None:
    done = export(MODEL, "-o", "形式", "--to", "onnx, folder,onnx", "--passages", passages)
    assert done.exit_code == 0, done.exception
    heading, whole, onnx, folder, last = done.stdout.splitlines()
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
    assert max(map(len, done.stdout.splitlines())) <= 80
    out = tmp_path / "形式"
    parity = read_parity(out)
    assert parity is not None and parity.passages == len(PASSAGES)
    assert "## Forms" in (out / "README.md").read_text("utf-8")
    for backend in ("onnx", "torch"):
        vector = library.load(out, backend=backend, dtype="float32").encode("护照")  # type: ignore[arg-type]
        expected = library.load(MODEL, backend="torch", dtype="float32").encode("护照")
        assert vector @ expected == pytest.approx(1, abs=1e-5)
    assert left(tmp_path) == ["形式"]
    again = export(MODEL, "-o", "形式")
    assert str(again.exception) == "形式: there is something already. Choose another folder, or add --force."
    assert read_parity(out) == parity


def test_json_of_a_table_in_place_of_what_is_there(
    yuyi: Run, export: Callable[..., Result], tmp_path: Path, passages: str
) -> None:
    (tmp_path / "out").mkdir()
    model = (str(TINY / "static"), "-o", "out", "--to", "onnx,static", "--passages", passages)
    done = yuyi("export", *model, "--force", "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert [form["target"] for form in said["forms"]] == ["onnx", "static"]
    assert said["reference"]["target"] == "static int8"
    (tmp_path / "out" / "old").write_text("x")
    quiet = export(*model, "--force", "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")
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
        (["--distil-dim", "0", "--to", "static"], "--distil-dim 0"),
        (["--distil", "空.txt", "--to", "static"], "空.txt: holds 0 different texts"),
        (["--distil-pieces", "9", "--to", "static"], "--distil-pieces 9: without texts"),
        (["--distil-dim", "9"], "--distil-dim: for static alone"),
        (["--layers", "1", "--to", "static"], "--layers 1: the table follows the whole of bert-zh"),
        (["-o", "no/such/place"], "no/such/place: cannot be written"),
        (["-o", "in.txt", "--force"], "in.txt: is no folder"),
    ],
)
def test_misuse_is_one_clear_line_and_leaves_nothing(
    refusal: Callable[..., str], tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "空.txt").write_text("\n \n", "utf-8")
    (tmp_path / "in.txt").write_text("x")
    assert message in refusal(MODEL, "-o", "out", *arguments)
    assert left(tmp_path) == ["空.txt"]


@pytest.mark.parametrize("option", ["--calibration", "--distil"])
def test_texts_are_looked_at_before_a_model(refusal: Callable[..., str], tmp_path: Path, option: str) -> None:
    assert "absent.txt" in refusal("no-model", "-o", "out", "--to", "onnx-int8,static", option, "absent.txt")


def test_models_that_cannot_be_opened(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert "absent" in refusal("absent", "-o", "out")
    assert "pooling" in refusal(str(TINY / "bert-plain"), "-o", "out")
    graph = shutil.copytree(TINY / "bert-dense", tmp_path / "in.txt")
    (graph / "pytorch_model.bin").rename(graph / "model.onnx")
    assert refusal("in.txt", "-o", "out").endswith(
        "in.txt: there are no weights in it that torch reads. Export the model it was made of."
    )
    model = shutil.copytree(TINY / "bert-dense", tmp_path / "model")
    path = model / "2_Dense" / "config.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**config, "activation_function": "my_package.layers.Swish7"}), "utf-8")
    error = refusal("model", "-o", "out")
    assert error.endswith(
        "2_Dense/config.json: activation 'Swish7' is not one of Identity, Tanh, ReLU, GELU, SiLU, Sigmoid. "
        "Choose another model."
    )
    assert left(tmp_path) == []


def test_a_model_is_not_replaced_by_its_forms(refusal: Callable[..., str], tmp_path: Path) -> None:
    model = shutil.copytree(TINY / "bert-zh", tmp_path / "model")
    before = sorted(path.name for path in model.rglob("*"))
    (model / "parity.json").write_text("{}")
    before.append("parity.json")
    error = refusal("model", "-o", "model", "--force")
    assert error == "model: the model itself is in it, and would be lost. Choose another folder."
    assert sorted(path.name for path in model.rglob("*")) == sorted(before)


def test_a_form_too_far_off_is_not_published(
    refusal: Callable[..., str], tmp_path: Path, passages: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "parity.json").write_text("{}")
    least = ("--least", "0.99999999", "--force")
    error = refusal(MODEL, "-o", "out", "--to", "onnx,onnx-int8", "--passages", passages, *least)
    assert error.startswith("bert-zh as onnx-int8: mean cosine 0.99")
    assert "at least 0.99999999 is asked for; nothing was written. Worst: '" in error
    assert left(tmp_path) == ["out"]
    assert left(tmp_path / "out") == ["parity.json"]


@pytest.mark.parametrize(
    ("name", "form", "size"),
    [("bert-zh", "onnx", 100_000), ("bert-zh", "folder", 100_000), ("bert-zh", "onnx-int8", 2_000),
     ("static", "static", 4_000), ("static", "static", 20_000)],
)  # fmt: skip
def test_a_full_disk_leaves_nothing(
    refusal: Callable[..., str], tmp_path: Path, name: str, form: str, size: int
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))  # Python ignores its signal.
    try:
        error = refusal(str(TINY / name), "-o", "out", "--to", form)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert re.match(r"out: cannot be written \(.*File too large.*\)\.", error)
    assert left(tmp_path) == []


def test_a_full_disk_is_one_line_for_those_who_call_it(tmp_path: Path) -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from yuyi.cli.app import run
run()
"""
    command = [sys.executable, "-c", code, "export", str(TINY / "static"), "-o", "out", "--to", "static"]
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
