"""A program that Deno serves on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def served(program: Path, modules: Path, **environment: str) -> Iterator[str]:
    """The address at which a program answers, which calls `Deno.serve`; packages lie beside it."""
    folder = program.parent
    (folder / "node_modules").symlink_to((modules / "node_modules").resolve())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    places = {"DENO_SERVE_ADDRESS": f"tcp:{place}", "DENO_DIR": str(folder / "deno")}
    log = (folder / "deno.log").open("w")
    process = subprocess.Popen(
        [
            folder / "node_modules" / ".bin" / "deno", "run", "--no-prompt", "--cached-only", "--allow-read",
            "--allow-env", "--allow-ffi", "--allow-sys", f"--allow-net={place}", program,
        ],
        cwd=folder, stdout=log, stderr=log, env={**os.environ, **environment, **places},
        start_new_session=True,
    )  # fmt: skip
    try:
        _wait(place, process, folder / "deno.log")
        yield f"http://{place}"
    finally:
        # What npm installs starts the program itself as a child.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def _wait(place: str, process: subprocess.Popen[bytes], log: Path) -> None:
    host, port = place.split(":")
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def post(address: str, body: bytes) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
