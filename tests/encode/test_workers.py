"""Real worker processes; `sitecustomize.py` on their path makes some texts deadly, slow or wrong for them."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import yuyi
from yuyi.encode import devices
from yuyi.encode.workers import WorkerPool
from yuyi.errors import InputError, ModelError, WorkerError, YuyiError, YuyiWarning
from yuyi.machine import available_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent.parent / "tiny" / "static"
TINY = yuyi.load(FOLDER)
BLOCK = 1_024  # texts in a block of a token table
CORES = available_cores()
GIB = 1 << 30

FAULTS = """
import os, pathlib, signal, time
import yuyi.encode.workers as workers

place = pathlib.Path(__file__).parent
encode_shard = workers.encode_shard

def faulty(encoder, texts, first, **options):
    (place / "pids").mkdir(exist_ok=True)
    (place / "pids" / str(os.getpid())).touch()
    for text in texts:
        if text == "die" or text == "die once" and not (place / "died").exists():
            (place / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "cores":
            cores = encoder._cores, encoder.side_by_side, os.environ["OMP_NUM_THREADS"], len(texts)
            (place / "cores").write_text(repr(cores))
        if text == "bug":
            raise ZeroDivisionError("a bug")
        if text == "refuse":
            raise workers.YuyiError("refused")
        if text == "sleep":
            time.sleep(60)
    return encode_shard(encoder, texts, first, **options)

workers.encode_shard = faulty
"""


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a request holds `BLOCK` texts whatever the machine."""
    monkeypatch.setenv("YUYI_CORES", "1")


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes workers faulty; the folder `pids` in it names those that were asked for something."""
    (tmp_path / "sitecustomize.py").write_text(FAULTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def workers_of(faults: Path) -> list[int]:
    return [int(path.name) for path in (faults / "pids").iterdir()]


def assert_gone(pids: list[int]) -> None:
    assert pids
    deadline = time.monotonic() + 10
    while any(Path("/proc", str(pid)).exists() for pid in pids):
        assert time.monotonic() < deadline, pids
        time.sleep(0.02)


def texts_with(fault: str, place: int, count: int = 5 * BLOCK) -> list[str]:
    texts = [f"胡子长得太快 passport {number}" for number in range(count)]
    texts[place] = fault
    return texts


def test_the_same_vectors_in_the_same_order() -> None:
    texts = texts_with("", 7)
    np.testing.assert_array_equal(TINY.encode(iter(texts), workers=2), TINY.encode(texts))
    vectors, info = TINY.encode(texts, workers=1, truncate_dim=8, precision="int8", return_info=True)
    np.testing.assert_array_equal(vectors, TINY.encode(texts, truncate_dim=8, precision="int8"))
    np.testing.assert_array_equal(info.tokens, TINY.encode(texts, return_info=True)[1].tokens)
    assert TINY.encode([], workers=1).shape == (0, 32)
    assert TINY.encode("胡子", workers=1).shape == (32,)


def test_devices_instead_of_a_number() -> None:
    with WorkerPool(TINY, ["cpu", "cpu"]) as pool:
        assert len(pool) == 2
        np.testing.assert_array_equal(pool.encode(["胡子"], 0)[0], TINY.encode(["胡子"]))


def test_auto_is_bounded_by_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, memory, expected in ((8, 64 * GIB, 8), (8, 2 * GIB, 5), (3, 2 * GIB, 3), (8, 0, 1)):
        monkeypatch.setattr(devices, "available_cores", lambda cores=cores: cores)
        monkeypatch.setattr(devices, "available_memory", lambda memory=memory: memory)
        assert devices.worker_devices("auto", TINY) == [None] * expected


@dataclass
class Opened:
    """What of an encoder decides how many workers there are."""

    backend_name: str
    weight_bytes: int
    device: str = "cpu"


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="weights are shared on Linux")
def test_shared_weights_count_once() -> None:
    assert devices._room(Opened("torch", GIB), 4 * GIB) == 3 * GIB // devices._WORKER_BYTES
    assert devices._room(Opened("onnx", GIB), 4 * GIB) == 2
    assert devices._room(Opened("torch", 5 * GIB), 4 * GIB) == 0


def test_a_worker_for_each_gpu() -> None:
    def of(number: object, gpus: int) -> list[str | None]:
        return devices.worker_devices(number, Opened("torch", GIB, "cuda:0"), lambda: gpus)

    assert of("auto", 3) == of(3, 8) == ["cuda:0", "cuda:1", "cuda:2"]
    assert of("auto", 1) == of(1, 4) == of("auto", 0) == [None]
    assert of(["cuda:1", "cuda:1"], 2) == ["cuda:1", "cuda:1"]
    with pytest.raises(InputError, match="workers=4: 2 GPUs are there"):
        of(4, 2)


def test_what_workers_share_has_their_share_of_the_cores(
    faults: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch's backend arrives with the parent's number of threads in it."""
    pytest.importorskip("torch")
    monkeypatch.setenv("YUYI_CORES", "2")
    encoder = yuyi.load(FOLDER.parent / "bert-zh", backend="torch", device="cpu")
    encoder.encode(["cores"] * 100, workers=2)
    cores, threads, *_ = ast.literal_eval((faults / "cores").read_text())
    assert (cores, threads) == (1, 1)


def test_workers_share_the_cores(faults: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4)))
    monkeypatch.setenv("YUYI_CORES", "2")
    encoder = yuyi.load(FOLDER)
    for count, share in ((2, 1), (1, min(2, CORES))):
        encoder.encode(["cores"] * 4 * BLOCK, workers=count)
        expected = (share, share, str(2 // count), 2 // count * BLOCK)
        assert ast.literal_eval((faults / "cores").read_text()) == expected


@pytest.mark.parametrize("workers", [0, -1, True, "two", [], 1.5])
def test_no_number_of_workers(workers: object) -> None:
    with pytest.raises(InputError, match="give a number of processes"):
        TINY.encode(["a"], workers=workers)  # type: ignore[call-overload]


def test_a_stream_draws_little_ahead() -> None:
    drawn = 0

    def texts() -> Iterator[str]:
        nonlocal drawn
        for number in range(100 * BLOCK):
            drawn += 1
            yield str(number)

    blocks = TINY.encode_stream(texts(), workers=2)
    assert len(next(blocks)) == BLOCK
    assert drawn < 10 * BLOCK
    blocks.close()  # type: ignore[attr-defined]


def test_a_death_costs_nothing_but_time(faults: Path) -> None:
    texts = texts_with("die once", 2 * BLOCK + 5)
    expected = rf"killed by SIGKILL while it encoded texts {2 * BLOCK:,} to {3 * BLOCK - 1:,}; another one"
    with pytest.warns(YuyiWarning, match=expected):
        vectors = TINY.encode(texts, workers=2)
    np.testing.assert_array_equal(vectors, TINY.encode(texts))
    assert_gone(workers_of(faults))


@pytest.mark.filterwarnings("ignore:worker process")
def test_texts_that_no_worker_survives_are_named_and_the_rest_is_there(faults: Path) -> None:
    texts = texts_with("die", 2 * BLOCK + 5)
    with pytest.raises(WorkerError, match=f"no worker process survived texts {2 * BLOCK:,} to") as caught:
        TINY.encode(texts, workers=2)
    lost = slice(2 * BLOCK, 3 * BLOCK)
    assert caught.value.ranges == ((lost.start, lost.stop),)
    expected = TINY.encode(texts)
    expected[lost] = np.nan
    np.testing.assert_array_equal(caught.value.vectors, expected)
    assert_gone(workers_of(faults))


@pytest.mark.filterwarnings("ignore:worker process")
def test_a_stream_keeps_its_rows_in_place(faults: Path) -> None:
    found = []
    with pytest.raises(WorkerError) as caught:
        for vectors in TINY.encode_stream(texts_with("die", 0, 3 * BLOCK), workers=1, precision="int8"):
            found.append(vectors)
    assert caught.value.ranges == ((0, BLOCK),)
    assert [len(vectors) for vectors in found] == [BLOCK, BLOCK, BLOCK]
    assert [bool(vectors.any()) for vectors in found] == [False, True, True]


@pytest.mark.filterwarnings("ignore:worker process")
def test_deaths_far_apart_are_not_counted_together(faults: Path) -> None:
    texts = texts_with("die", 0, 6 * BLOCK)
    texts[2 * BLOCK] = texts[4 * BLOCK] = "die"
    with pytest.raises(WorkerError, match=r"no worker process survived texts 0 to 1,023, 2,048 to") as caught:
        TINY.encode(texts, workers=1)
    assert caught.value.ranges == tuple((first, first + BLOCK) for first in (0, 2 * BLOCK, 4 * BLOCK))
    assert np.isfinite(caught.value.vectors[-BLOCK:]).all()


@pytest.mark.filterwarnings("ignore:worker process")
def test_when_all_die_it_ends(faults: Path) -> None:
    with pytest.raises(
        WorkerError, match=r"5 worker processes died in a row.* Before, .* texts 0 to"
    ) as caught:
        TINY.encode(["die"] * 100 * BLOCK, workers=1)
    assert caught.value.ranges == ((0, BLOCK), (BLOCK, 2 * BLOCK))
    assert_gone(workers_of(faults))


def test_a_model_that_cannot_be_opened_is_told_each_time(tmp_path: Path) -> None:
    """A worker without a model has no answer to wait for."""
    shutil.copytree(FOLDER, tmp_path / "model")
    encoder = yuyi.load(tmp_path / "model")
    shutil.rmtree(tmp_path / "model")
    with WorkerPool(encoder, 1) as pool, ThreadPoolExecutor(1) as threads:
        for first in range(3):
            with pytest.raises(ModelError):
                threads.submit(pool.encode, ["a"], first).result(timeout=30)


def test_what_a_worker_raises_arrives(faults: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug") as caught:
        TINY.encode(texts_with("bug", 3 * BLOCK), workers=2)
    assert "in faulty" in caught.value.__notes__[0]
    with pytest.raises(YuyiError, match=r"^refused$"):
        TINY.encode(["refuse"], workers=1)
    assert_gone(workers_of(faults))


def test_a_model_that_has_gone(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "model")
    encoder = yuyi.load(tmp_path / "model")
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(ModelError):
        encoder.encode(["a"], workers=1)


def test_the_folder_stays_the_same_wherever_one_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent)
    encoder = yuyi.load(FOLDER.name)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(encoder.encode(["胡子"], workers=1), TINY.encode(["胡子"]))


def test_numbers_of_texts_are_those_of_all(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    encoder = yuyi.load(FOLDER.parent / "bert-zh", backend="torch")
    texts = ["胡子"] * 2_000
    texts[1_999] = "胡子" * 2_000
    with pytest.raises(InputError, match=r"^text 1999: has [\d,]+ tokens"):
        encoder.encode(texts, overflow="error", workers=1)
    chosen = texts[-50:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", YuyiWarning)
        np.testing.assert_allclose(encoder.encode(chosen, workers=1), encoder.encode(chosen), atol=1e-6)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells who shares memory")
@pytest.mark.parametrize(("dtype", "width"), [("float32", 4), ("int8", 1)])
def test_weights_are_in_memory_once(tmp_path: Path, dtype: str, width: int) -> None:
    """The shares that two workers have in the memory they share add up to one copy of the layers, not two."""
    pytest.importorskip("torch")
    from full_size import build

    encoder = yuyi.load(build("gte-small-zh", tmp_path, layers=4), backend="torch", dtype=dtype)
    texts = ["胡子长得太快"] * 64
    with WorkerPool(encoder, 2) as pool, ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda first: pool.encode(texts, first)[0], range(8)))
        shares = sum(_kilobytes("Pss_Shmem", process) for process in pool.processes)
    for vectors in found:
        np.testing.assert_allclose(vectors, encoder.encode(texts), atol=1e-6)
    layers = 4 * 12 * 512**2 * width / 1024
    assert layers < shares < 1.6 * layers


def _kilobytes(name: str, process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


SCRIPT = f"""
import sys, yuyi
encoder = yuyi.load({str(FOLDER)!r})
print(encoder.encode(sys.argv[1:] * 1_500, workers=2).shape)
"""


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, tmp_path / "script.py", "a", "b"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(3000, 32)\n", "")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(faults: Path, how: signal.Signals) -> None:
    """Not even one that is busy, and a terminal's Ctrl-C prints no traceback of a worker."""
    (faults / "script.py").write_text(SCRIPT)
    command = [sys.executable, faults / "script.py", "sleep"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 30
    while not any(faults.glob("pids/*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, how)
    _, error = process.communicate(timeout=30)
    assert process.returncode == -how
    assert error.count("Traceback") == (how == signal.SIGINT)
    assert_gone(workers_of(faults))
