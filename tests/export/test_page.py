"""What serves pages to Chromium and starts it: requests that mean nothing, a program that cannot run."""

from __future__ import annotations

import http.client
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from yuyi.export.javascript.page import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "页.html").write_text("你好", encoding="utf-8")
    return Site({"": tmp_path})


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def put_chromium(script: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name, found before any other."""
    program = place / "programs" / "chromium"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/%E9%A1%B5.html", {}, 200),
        ("GET", "/absent", {}, 404),
        ("GET", "/../../../etc/passwd", {}, 404),
        ("GET", "/%00", {}, 400),
        ("GET", f"/{'x' * 5000}", {}, 400),
        ("POST", "/result", {}, 400),
        ("POST", "/result", {"Content-Length": "-1"}, 400),
        ("POST", "/result", {"Content-Length": "0"}, 204),
    ],
)
def test_requests(
    site: Site,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with site.served() as address:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
        connection.putrequest(method, path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()
    assert capfd.readouterr() == ("", "")
    assert site.answered.is_set() == (status == 204)


def test_a_chromium_that_cannot_start_is_explained_at_once(
    site: Site, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_chromium('touch "$TMPDIR/left"; echo "libnss3.so: 没有这个文件" >&2; exit 127', tmp_path, monkeypatch)
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match=r"it ended with exit code 127: libnss3.so: 没有这个文件"):
        site.ask("页.html", 60)
    assert time.monotonic() - begun < 10
    assert list(temporary.iterdir()) == []


def test_a_chromium_that_does_not_answer_is_ended(
    site: Site, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_chromium(f'echo $$ > "{tmp_path}/process"; exec sleep 60', tmp_path, monkeypatch)
    with pytest.raises(TimeoutError, match=r"no answer within 1 s"):
        site.ask("页.html", 1)
    assert not Path("/proc", (tmp_path / "process").read_text().strip()).exists()
    assert list(temporary.iterdir()) == []
