"""A page in a headless Chromium: served to it, and its result taken from it, by a server on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

_HERE = Path(__file__).parent
_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Without a screen, without whatever it would fetch by itself.
_FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)  # fmt: skip
# Chromium ends when descriptor 3 does, that is with this process, however that ends.
_TIED = 'exec "$@" 3<&0 4>/dev/null </dev/null'
# Seconds between looks at whether it still runs.
_LOOK = 0.2
# How many of its last lines are passed on.
_LAST = 5
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".wasm": "application/wasm",
}


def find_chromium() -> str | None:
    """The program, or None."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def run_page(
    library: Path, model: Path, dtype: str, texts: Sequence[str], longest: float
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """All values, and the times that `embed.mjs` took.

    Args:
        library: the folder of Transformers.js, its packages around it.
        model: the folder of the model.
        dtype: the form, as Transformers.js calls it.
        texts: what is embedded.
        longest: seconds that it may take.

    Raises:
        RuntimeError: it failed; the message is what it said.
        TimeoutError: it took longer.
    """
    places = {"transformers": library, "onnxruntime": _package(library, "onnxruntime-web"), "model": model}
    site = Site(
        {**places, "": _HERE}, {"task.json": json.dumps({"dtype": dtype, "texts": list(texts)}).encode()}
    )
    path, body = site.ask("page.html", longest)
    if path != "/result":
        raise RuntimeError(body.decode(errors="replace"))
    return np.frombuffer(body, dtype="<f4"), {name: float(value) for name, value in site.query.items()}


def _package(library: Path, name: str) -> Path:
    """The folder of a package that the library uses: its own, or one beside it."""
    inner = library / "node_modules" / name
    return inner if inner.is_dir() else library.parent.parent / name


@dataclass(slots=True)
class Site:
    """Static files for a page, and the one answer that the page posts.

    Attributes:
        folders: what is served below the first part of a path; "" serves what no other does.
        files: further files, by path.
        answered: set once something was posted.
        answer: the path that was posted to, and what.
        query: what stood behind that path.
    """

    folders: Mapping[str, Path]
    files: Mapping[str, bytes] = field(default_factory=dict)
    answered: threading.Event = field(default_factory=threading.Event)
    answer: tuple[str, bytes] = ("", b"")
    query: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        """What is served under a path; None where there is nothing."""
        path = unquote(path).lstrip("/")
        if path in self.files:
            return self.files[path]
        first, _, rest = path.partition("/")
        folder, rest = (self.folders[first], rest) if first in self.folders else (self.folders[""], path)
        file = (folder / rest).resolve()
        inside = file.is_relative_to(folder.resolve())
        return file.read_bytes() if inside and file.is_file() else None

    @contextmanager
    def served(self) -> Iterator[str]:
        """The address under which the files are served, by threads, on this machine alone."""
        server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": self}))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def ask(self, page: str, longest: float, *flags: str) -> tuple[str, bytes]:
        """What a page posts after it was opened in Chromium: the path that it posts to, and the body.

        Args:
            page: its path.
            longest: seconds to wait for that.
            flags: further ones of Chromium.

        Raises:
            RuntimeError: Chromium ended before; the message is what it said last.
            TimeoutError: nothing came.
        """
        end = time.monotonic() + longest
        with self.served() as address, opened(f"{address}/{page}", *flags) as check:
            while not self.answered.wait(_LOOK):
                check()
                if time.monotonic() > end:
                    raise TimeoutError(f"no answer within {longest:g} s")
        return self.answer


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that was closed; it had answered."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        try:
            data = self.site.read(path)
        except (ValueError, OSError):  # No name of a file: it holds a null, or is too long.
            self.send_error(400)
            return
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Type", _KINDS.get(Path(path).suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        self.wfile.write(data or b"")

    def do_POST(self) -> None:
        length = self.headers["Content-Length"] or ""
        if not length.isdecimal():
            self.send_error(400)
            return
        body = self.rfile.read(int(length))
        parts = urlsplit(self.path)
        self.site.query = dict(parse_qsl(parts.query))
        self.site.answer = parts.path, body
        self.send_response(204)
        self.end_headers()
        self.site.answered.set()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def opened(address: str, *flags: str) -> Iterator[Callable[[], None]]:
    """While a page is open in a Chromium of its own, which starts with nothing kept and leaves nothing.

    Args:
        address: of the page.
        flags: further ones of the program.

    Yields:
        What raises RuntimeError, with what Chromium said last, once it has ended.
    """
    program = find_chromium()
    if program is None:
        raise RuntimeError("chromium is not installed")
    as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="yuyi-", ignore_cleanup_errors=True) as profile:
        own = f"--user-data-dir={profile}"
        said = Path(profile, "said")
        with (
            said.open("wb") as errors,
            subprocess.Popen(
                ["sh", "-c", _TIED, "sh", program, *_FLAGS, *as_root, own, *flags, address],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, "TMPDIR": profile},
            ) as process,
        ):

            def check() -> None:
                if (code := process.poll()) is not None:
                    last = " ".join(said.read_text(errors="replace").splitlines()[-_LAST:])
                    raise RuntimeError(f"it ended with exit code {code}: {last}")

            try:
                yield check
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
