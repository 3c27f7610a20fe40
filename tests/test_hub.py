from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from yuyi import hub
from yuyi.errors import InputError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "c0ffee" + "0" * 34
OTHER = "beef" + "1" * 36
ID = "thenlper/gte-small-zh"
PLAIN = {"config.json": b'{"hidden_size": 512}', "tokenizer.json": b"{}", "model.safetensors": b"weights"}


_SETTINGS = (
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "SENTENCE_TRANSFORMERS_HOME",
    "TRANSFORMERS_CACHE",
    "HF_HUB_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without models, and offline: what hub reads of the environment points into `tmp_path`."""
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("YUYI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("YUYI_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def cache(
    folder: Path, files: dict[str, bytes], model: str = ID, commit: str = COMMIT, ref: str | None = "main"
) -> Path:
    """The snapshot that huggingface_hub leaves in its cache `folder`: links to blobs, and a reference."""
    repository = folder / f"models--{model.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    for name, data in files.items():
        blob = repository / "blobs" / hashlib.sha1(data).hexdigest()
        write(blob.parent, {blob.name: data})
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(blob)
    if ref:
        write(repository, {f"refs/{ref}": commit.encode()})
    return snapshot


def test_a_folder_is_itself(machine: Path) -> None:
    folder = write(machine / "models" / "mine", PLAIN)
    assert hub.resolve(folder) == hub.resolve(str(folder)) == folder
    assert hub.resolve("models/mine").samefile(folder)
    assert hub.resolve("./models/mine").samefile(folder)


def test_a_folder_of_that_name_comes_before_the_known_model(machine: Path) -> None:
    cache(machine / "hf/hub", PLAIN)
    folder = write(machine / "gte-small-zh", PLAIN)
    assert hub.resolve("gte-small-zh").samefile(folder)


@pytest.mark.parametrize(
    "name", ["gte-small-zh", "GTE-Small-ZH", ID, ID.upper(), "gte-small-zh@main", f"{ID}@main"]
)
def test_a_name_from_the_cache_of_the_hub(machine: Path, name: str) -> None:
    snapshot = cache(machine / "hf/hub", PLAIN)
    assert hub.resolve(name) == snapshot


@pytest.mark.parametrize(
    ("variable", "inside"),
    [
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("SENTENCE_TRANSFORMERS_HOME", ""),
        ("TRANSFORMERS_CACHE", ""),
    ],
)
def test_every_cache_people_have(
    machine: Path, monkeypatch: pytest.MonkeyPatch, variable: str, inside: str
) -> None:
    monkeypatch.setenv(variable, str(machine / "elsewhere"))
    snapshot = cache(machine / "elsewhere" / inside, PLAIN)
    assert hub.resolve(ID) == snapshot


def test_the_default_places(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HOME", "YUYI_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(machine))
    snapshot = cache(machine / ".cache/huggingface/hub", PLAIN)
    assert hub.resolve(ID) == snapshot
    folder = write(machine / ".local/share/yuyi/models/gte-small-zh", PLAIN)
    assert hub.resolve(ID) == folder


@pytest.mark.parametrize("name", ["gte-small-zh", ID])
def test_a_folder_put_into_the_home_of_yuyi(machine: Path, name: str) -> None:
    snapshot = cache(machine / "hf/hub", PLAIN)
    assert hub.resolve(ID) == snapshot
    folder = write(machine / "home/models" / name, PLAIN)
    assert hub.resolve("gte-small-zh") == hub.resolve(ID) == folder == hub.find_local(ID)


def test_revisions(machine: Path) -> None:
    main = cache(machine / "hf/hub", PLAIN)
    other = cache(machine / "hf/hub", PLAIN, commit=OTHER, ref="pr/1")
    assert hub.resolve(ID) == hub.resolve(ID, revision="main") == main
    assert hub.resolve(ID, revision=COMMIT) == hub.resolve(ID, revision=COMMIT[:7]) == main
    assert hub.resolve(ID, revision="pr/1") == hub.resolve(f"{ID}@pr/1") == other
    assert hub.resolve(f"gte-small-zh@{OTHER[:8]}") == other
    with pytest.raises(ModelError, match=f"only other revisions: {OTHER[:12]}, {COMMIT[:12]}"):
        hub.resolve(ID, revision="v2")
    folder = write(machine / "home/models/gte-small-zh@v2", PLAIN)
    assert hub.resolve(ID, revision="v2") == folder
    assert hub.resolve(ID) == main


def test_a_shortened_commit_that_two_share(machine: Path) -> None:
    for end in "ab":
        cache(machine / "hf/hub", PLAIN, commit=COMMIT[:-1] + end, ref=None)
    assert hub.resolve(ID, revision=COMMIT[:-1] + "a").name == COMMIT[:-1] + "a"
    with pytest.raises(ModelError, match="only other revisions"):
        hub.resolve(ID, revision=COMMIT[:-1])


def test_a_download_that_was_stopped_is_passed_over(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = {name: data for name, data in PLAIN.items() if name != "model.safetensors"}
    snapshot = cache(machine / "hf/hub", part)
    assert hub.find_local(ID) is None
    with pytest.raises(ModelError, match=rf"{snapshot} \(no weights\)"):
        hub.resolve(ID)
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(machine / "other"))
    snapshot = cache(machine / "other", PLAIN)
    assert hub.resolve(ID) == snapshot


def test_a_model_without_its_last_layer_is_passed_over(machine: Path) -> None:
    cache(
        machine / "hf/hub", {**PLAIN, "config.json": b'{"hidden_size": 1024}'}, "aspire/acge_text_embedding"
    )
    with pytest.raises(ModelError, match=r"no modules\.json"):
        hub.resolve("acge_text_embedding")


def test_what_is_not_here_says_where_it_was_looked_for_and_what_to_do(machine: Path) -> None:
    with pytest.raises(ModelError) as refused:
        hub.resolve("GTE-small-zh")
    message = str(refused.value)
    assert message.startswith("gte-small-zh: not on this machine, and not downloaded: YUYI_OFFLINE is set. ")
    for place in ("home/models/gte-small-zh", f"home/models/{ID}", "hf/hub/models--thenlper--gte-small-zh"):
        assert f"{machine / place}" in message
    assert message.endswith(
        "Copy the model's folder to this machine and give its path, "
        f"or put it at {machine / 'home/models/gte-small-zh'}."
    )
    write(machine / "home/models/gte-small-zh", PLAIN)
    assert hub.resolve("gte-small-zh") == machine / "home/models/gte-small-zh"


@pytest.mark.parametrize(
    "path",
    ["./gte-small-zh", "../gte-small-zh", "~/gte-small-zh", "/gte-small-zh", "a/b/c", ".", "..", "a/", ""],
)
def test_a_path_is_never_a_name(machine: Path, path: str) -> None:
    cache(machine / "hf/hub", PLAIN)
    (machine / "here").mkdir()
    os.chdir(machine / "here")
    if path in (".", ".."):
        assert hub.resolve(path).samefile(path)
    else:
        with pytest.raises(ModelError, match=r"no such folder|empty name"):
            hub.resolve(path)


def test_a_path_object_is_never_a_name(machine: Path) -> None:
    cache(machine / "hf/hub", PLAIN)
    with pytest.raises(ModelError, match="gte-small-zh: no such folder"):
        hub.resolve(Path("gte-small-zh"))


def test_an_unknown_name_is_answered_with_those_like_it(machine: Path) -> None:
    with pytest.raises(ModelError, match=r"gte-smal-zh: .* Did you mean gte-small-zh"):
        hub.resolve("gte-smal-zh")


def test_a_model_listed_for_comparison(machine: Path) -> None:
    with pytest.raises(ModelError, match=r"text-embedding-ada-002: .* no public weights"):
        hub.resolve("text-embedding-ada-002")


@pytest.mark.parametrize(
    "name", ["模型", "a b", "a\nb", "a\0b", "x" * 300, "~nobody-of-this-name/x", "a@b@c", "owner/..x"]
)
def test_what_is_neither_name_nor_folder(machine: Path, name: str) -> None:
    with pytest.raises(ModelError):
        hub.resolve(name)


def test_a_file_is_no_folder(machine: Path) -> None:
    write(machine, {"gte-small-zh": b""})
    with pytest.raises(ModelError, match="gte-small-zh: a file"):
        hub.resolve("gte-small-zh")


def test_revisions_that_make_no_sense(machine: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        hub.resolve(machine, revision="main")
    with pytest.raises(InputError, match="another revision"):
        hub.resolve(f"{ID}@v1", revision="v2")
    for revision in ("../../x", "-x", "a b"):
        with pytest.raises(InputError, match="not a branch"):
            hub.resolve(ID, revision=revision)


# A process that counts every look at the network, and forbids it.
GUARD = """
import sys
looks = []
def guard(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        looks.append(event)
        raise OSError("the network was asked")
sys.addaudithook(guard)
from yuyi import hub
from yuyi.errors import ModelError
"""


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_here_is_found_without_the_network(machine: Path) -> None:
    snapshot = cache(machine / "hf/hub", PLAIN)
    folder = write(machine / "mine", PLAIN)
    code = f"""{GUARD}
assert str(hub.resolve("gte-small-zh")) == {str(snapshot)!r}
assert str(hub.resolve({str(folder)!r})) == {str(folder)!r}
assert hub.find_local("gte-base-zh") is None
assert "huggingface_hub" not in sys.modules
assert not looks
try:
    hub.resolve("gte-base-zh")
except ModelError as error:
    print(len(looks), error)
"""
    looks, message = python(code, YUYI_OFFLINE="0").split(" ", 1)
    assert int(looks) > 0  # The guard sees what it should see.
    assert "the network was asked" in message


@pytest.mark.parametrize("variable", ["YUYI_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_is_obeyed(machine: Path, variable: str) -> None:
    code = f"""{GUARD}
try:
    hub.resolve("gte-base-zh")
except ModelError as error:
    assert not looks
    print(error)
"""
    settings = {"YUYI_OFFLINE": "", "HF_HUB_OFFLINE": "", variable: "1"}
    assert f"not downloaded: {variable} is set." in python(code, **settings)


def test_without_huggingface_hub_the_pip_line_is_named(machine: Path) -> None:
    code = f"""{GUARD}
sys.modules["huggingface_hub"] = None
try:
    hub.resolve("gte-base-zh")
except ModelError as error:
    print(error)
"""
    assert "pip install 'yuyi[hub]'" in python(code, YUYI_OFFLINE="")


class Hub(ThreadingHTTPServer):
    """As much of the hub's protocol as a download takes, for one repository; it notes what was fetched."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files = files
        self.fetched: list[str] = []
        self.refusal: tuple[int, str] | None = None
        self.broken = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        files = self.server.files
        if self.server.broken and path.endswith(self.server.broken):
            self._send(b"", 403)
        elif self.server.refusal:
            code, reason = self.server.refusal
            self._send(b"{}", code, {"X-Error-Code": reason})
        elif path.startswith(f"/api/models/{ID}/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": _oid(data)}
                for name, data in files.items()
            ]
            self._send(json.dumps(tree).encode())
        elif path.startswith(f"/api/models/{ID}"):
            info = {"id": ID, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
            self._send(json.dumps(info).encode())
        else:
            name = path.removeprefix(f"/{ID}/resolve/{COMMIT}/")
            self.server.fetched += [name] if self.command == "GET" else []
            self._send(files[name], headers={"ETag": f'"{_oid(files[name])}"', "X-Repo-Commit": COMMIT})

    def _send(self, body: bytes, code: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


def _oid(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


class Serve(Protocol):
    def __call__(self, files: dict[str, bytes]) -> Hub: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Hub] = []

    def start(files: dict[str, bytes]) -> Hub:
        server = Hub(files)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


REPOSITORY = {
    **PLAIN,
    "modules.json": b'[{"path": "", "type": "Transformer"}, {"path": "1_Pooling", "type": "Pooling"}]',
    "1_Pooling/config.json": b'{"pooling_mode_cls_token": true}',
    "README.md": b"# A card",
    "pytorch_model.bin": b"the same weights",
    "modeling.py": b"raise SystemExit('remote code ran')",
    "onnx/model.onnx": b"the same weights again",
}
FETCHED = {
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "modules.json",
    "1_Pooling/config.json",
    "README.md",
}
DOWNLOAD = "from yuyi import hub; print(hub.resolve('gte-small-zh'))"


def test_a_download_fetches_what_is_needed_once(machine: Path, serve: Serve) -> None:
    server = serve(REPOSITORY)
    folder = Path(python(DOWNLOAD, YUYI_OFFLINE="", HF_ENDPOINT=server.url).strip())
    assert sorted(server.fetched) == sorted(FETCHED)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == FETCHED
    assert all((folder / name).read_bytes() == REPOSITORY[name] for name in FETCHED)
    server.fetched.clear()
    assert hub.resolve("gte-small-zh") == hub.resolve(ID, revision=COMMIT[:10]) == folder
    assert python(DOWNLOAD, YUYI_OFFLINE="", HF_ENDPOINT=server.url).strip() == str(folder)
    assert server.fetched == []


def test_a_download_fetches_what_the_engine_asked_for_reads(machine: Path, serve: Serve) -> None:
    server = serve({**REPOSITORY, "onnx/model.onnx.data": b"its tensors"})
    settings = {"YUYI_OFFLINE": "", "HF_ENDPOINT": server.url}
    common = FETCHED - {"model.safetensors"}
    download = DOWNLOAD.replace("'gte-small-zh'", "'gte-small-zh', engine={!r}")
    folder = Path(python(download.format("onnx"), **settings).strip())
    assert set(server.fetched) == common | {"onnx/model.onnx", "onnx/model.onnx.data"}
    server.fetched.clear()
    # That copy does for any engine but torch, which fetches what it lacks.
    assert hub.resolve("gte-small-zh") == hub.resolve(ID, engine="onnx") == folder
    with pytest.raises(ModelError, match="no weights for torch"):
        hub.resolve(ID, engine="torch")
    assert Path(python(download.format("torch"), **settings).strip()) == folder
    assert server.fetched == ["model.safetensors"]
    assert hub.resolve(ID, engine="torch") == hub.resolve(ID, engine="onnx") == folder


def test_an_engine_that_a_repository_has_nothing_for(machine: Path, serve: Serve) -> None:
    server = serve({name: data for name, data in REPOSITORY.items() if "onnx" not in name})
    code = (
        "import yuyi\n"
        "try:\n"
        "    yuyi.load('gte-small-zh', backend='onnx')\n"
        "except yuyi.errors.ModelError as error:\n"
        "    print(error)\n"
    )
    message = python(code, YUYI_OFFLINE="", HF_ENDPOINT=server.url)
    assert f"not downloaded: the hub has no ONNX file under {ID}. Choose backend='torch'." in message
    assert server.fetched == []


FAILING = """
from yuyi import hub
from yuyi.errors import ModelError
try:
    hub.resolve("gte-small-zh", revision={revision!r})
except ModelError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("refusal", "revision", "words"),
    [
        ((404, "RepoNotFound"), None, f"the hub has no {ID}, or keeps it private."),
        ((403, "GatedRepo"), None, f"{ID} is for those who accepted its terms on the hub."),
        ((404, "RevisionNotFound"), "v9", f"the hub has no revision v9 of {ID}."),
        ((500, ""), None, f"{ID} could not be fetched (Server error '500"),
    ],
)
def test_a_refusal_of_the_hub_is_told(
    machine: Path, serve: Serve, refusal: tuple[int, str], revision: str | None, words: str
) -> None:
    server = serve(REPOSITORY)
    server.refusal = refusal
    message = python(FAILING.format(revision=revision), YUYI_OFFLINE="", HF_ENDPOINT=server.url)
    assert f"not on this machine, and not downloaded: {words}" in message
    assert "Looked in: " in message


def test_a_download_that_breaks_off_can_be_taken_up_again(machine: Path, serve: Serve) -> None:
    server = serve(REPOSITORY)
    server.broken = "model.safetensors"
    message = python(FAILING.format(revision=None), YUYI_OFFLINE="", HF_ENDPOINT=server.url)
    assert f"not downloaded: {ID} could not be fetched" in message
    assert hub.find_local(ID) is None
    server.broken = ""
    folder = Path(python(DOWNLOAD, YUYI_OFFLINE="", HF_ENDPOINT=server.url).strip())
    assert hub.find_local(ID) == folder
    assert server.fetched.count("model.safetensors") == 1


def test_a_repository_without_a_model(machine: Path, serve: Serve) -> None:
    server = serve({"README.md": b"# Moved", "pytorch_model.bin": b"weights"})
    message = python(FAILING.format(revision=None), YUYI_OFFLINE="", HF_ENDPOINT=server.url)
    assert f"under {ID} is no model that yuyi can open: no config.json, no tokenizer.json." in message
