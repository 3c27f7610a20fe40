"""A model's name to its folder on this machine; the network is asked last, and only for a name.

Nothing that a model brings is ever run: files of code are not even downloaded.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi import extras, known
from yuyi.errors import InputError, MissingExtra, ModelError
from yuyi.snapshot import NOTHING, choose_files, find_lack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yuyi.snapshot import Engine

# "gte-small-zh", "thenlper/gte-small-zh", either with "@revision". Paths begin otherwise or have more parts.
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_NAME = re.compile(rf"(?P<model>(?:{_PART}/)?{_PART})(?:@(?P<revision>{_PART}(?:/{_PART})*))?")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a name asks for; `dim` is that of the model's vectors, where it is known."""

    name: str
    id: str
    revision: str | None
    dim: int | None

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where people may have put the model's folder: under its short name, or under its hub id."""
        suffix = f"@{self.revision}" if self.revision else ""
        return tuple(_home() / f"{name}{suffix}" for name in dict.fromkeys((self.name, self.id)))


def resolve(
    name_or_folder: str | os.PathLike[str],
    *,
    revision: str | None = None,
    engine: Engine | None = None,
    dtype: str = "auto",
) -> Path:
    """The folder of a model: a folder as it is, a name from this machine, or else from the hub.

    Names are looked for in $YUYI_HOME/models and in the caches of huggingface_hub. Only a name that none of
    them holds is downloaded, and not when YUYI_OFFLINE or HF_HUB_OFFLINE is set.

    Args:
        name_or_folder: path of a folder, a short name that `yuyi models` lists, or a hub id, "owner/name";
            a name may end in "@revision".
        revision: branch, tag or commit of a name; without it, the main branch.
        engine: what is to run the model. Of a name, only a copy that this engine can run is taken, and only
            its form of the weights is downloaded; without it, the form for what is installed.
        dtype: what it computes in, which chooses among ONNX files.

    Raises:
        ModelError: no such folder, an unknown name, or a model that is neither here nor to be had; the
            message says where it was looked for and how to put a folder there.
        InputError: a revision was given twice, or for a folder.
    """
    folder = _existing(name_or_folder)
    if folder is not None:
        if revision is not None:
            raise InputError(f"revision={revision}: {folder} is a folder, and has none. Leave it out.")
        return folder
    wanted = _read_name(name_or_folder, revision)
    looked = []
    for place, lack in _candidates(wanted, engine, dtype):
        if not lack:
            return place
        looked.append(f"{place} ({lack})" if lack != NOTHING else str(place))
    try:
        return _download(wanted, engine, dtype)
    except (MissingExtra, _NotDownloaded) as reason:
        raise ModelError(
            f"{wanted.name}: not on this machine, and not downloaded: {reason} "
            f"Looked in: {', '.join(looked)}. Copy the model's folder to this machine and give its path, "
            f"or put it at {wanted.folders[0]}."
        ) from reason


def find_local(name: str) -> Path | None:
    """The folder of a model that is on this machine whole; None where it is not. Asks no network."""
    return next((place for place, lack in _candidates(_read_name(name, None)) if not lack), None)


def _existing(name_or_folder: str | os.PathLike[str]) -> Path | None:
    """The folder, where there is one of that path; None for what may be a name."""
    if not str(name_or_folder):
        raise ModelError(
            "an empty name. Give the path of a model's folder, or a name that `yuyi models` lists."
        )
    try:
        folder = Path(name_or_folder).expanduser()
        if folder.is_dir():
            return folder
        is_file = folder.is_file()
    except (OSError, RuntimeError) as error:  # RuntimeError: "~someone" who has no home.
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{name_or_folder}: cannot be read ({reason}). Give the path of a folder."
        ) from error
    if is_file:
        raise ModelError(f"{folder}: a file. Give the folder that it lies in.")
    if not isinstance(name_or_folder, str) or not _NAME.fullmatch(name_or_folder):
        raise ModelError(
            f"{name_or_folder}: no such folder. Give a folder, or a name that `yuyi models` lists."
        )
    return None


def _read_name(text: str | os.PathLike[str], revision: str | None) -> _Wanted:
    match = _NAME.fullmatch(str(text))
    if match is None or ".." in match[0]:
        raise ModelError(f"{text}: not a model's name. `yuyi models` lists the known ones.")
    if revision and match["revision"] and revision != match["revision"]:
        raise InputError(f"{text}: asks for another revision than revision={revision}. Give one of them.")
    revision = revision or match["revision"]
    if revision and not re.fullmatch(rf"{_PART}(/{_PART})*", revision):
        raise InputError(f"revision={revision}: not a branch, tag or commit.")
    facts = known.find(match["model"])
    if facts is None:
        if "/" not in match["model"]:
            raise _unknown(match["model"])
        return _Wanted(match["model"], match["model"], revision, None)
    if facts.id is None or not facts.opens:
        raise ModelError(f"{facts.name}: listed for its scores; yuyi cannot open it. {facts.notes}".strip())
    return _Wanted(facts.name, facts.id, revision, facts.dim)


def _unknown(name: str) -> ModelError:
    close = get_close_matches(name, [model.name for model in known.all_models() if model.opens], n=3)
    guess = f" Did you mean {' or '.join(close)}?" if close else ""
    return ModelError(
        f"{name}: no folder here, and no known model of that name.{guess} "
        "`yuyi models` lists the known ones; others are named owner/name."
    )


def _home() -> Path:
    """Where people put model folders by name: models in $YUYI_HOME, else in the user's data folder."""
    if chosen := os.environ.get("YUYI_HOME"):
        return Path(chosen).expanduser() / "models"
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "yuyi" / "models"


def _caches() -> list[Path]:
    """The folders in which huggingface_hub and its users keep downloads, the one it writes to first."""
    env = os.environ.get
    home = env("HF_HOME") or f"{env('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    first = env("HF_HUB_CACHE") or env("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    others = (env("SENTENCE_TRANSFORMERS_HOME"), env("TRANSFORMERS_CACHE"))
    paths = [Path(os.path.expandvars(path)).expanduser() for path in (first, *others) if path]
    return list(dict.fromkeys(paths))


def _candidates(
    wanted: _Wanted, engine: Engine | None = None, dtype: str = "auto"
) -> Iterator[tuple[Path, str]]:
    """Every place a model may be in, with what it lacks there; "" when it is whole."""
    for folder in wanted.folders:
        yield folder, find_lack(folder, wanted.dim, engine, dtype)
    for cache in _caches():
        repository = cache / f"models--{wanted.id.replace('/', '--')}"
        commit = _commit(repository, wanted.revision or "main")
        if commit is None:
            held = ", ".join(path.name[:12] for path in sorted(repository.glob("snapshots/*")))
            yield repository, f"only other revisions: {held}" if held else NOTHING
        else:
            folder = repository / "snapshots" / commit
            yield folder, find_lack(folder, wanted.dim, engine, dtype)


def _commit(repository: Path, revision: str) -> str | None:
    """The downloaded commit that a branch, tag or (shortened) commit stands for."""
    reference = repository / "refs" / revision
    if reference.is_file():
        return reference.read_text().strip()
    if not _COMMIT.fullmatch(revision):
        return None
    fitting = [path.name for path in repository.glob(f"snapshots/{revision}*")]
    return fitting[0] if len(fitting) == 1 else None


class _NotDownloaded(Exception):
    """Why a model was not downloaded: one sentence."""


def _download(wanted: _Wanted, engine: Engine | None, dtype: str) -> Path:
    """The folder of a model, downloaded into the cache of huggingface_hub.

    Raises:
        _NotDownloaded: it may not be, it cannot be, or what came is no model.
        MissingExtra: huggingface_hub is not installed.
    """
    for name in ("YUYI_OFFLINE", "HF_HUB_OFFLINE"):
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise _NotDownloaded(f"{name} is set.")
    extras.require("hub")
    # Read when it is imported; else it tells the hub what is installed and running on this machine.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi, snapshot_download

    repository = wanted.id
    try:
        listed = HfApi().model_info(repository, revision=wanted.revision).siblings or []
        files = choose_files([file.rfilename for file in listed], engine=engine or _installed(), dtype=dtype)
        if engine == "onnx" and not any(name.endswith(".onnx") for name in files):
            kind = "" if dtype == "auto" else f" in {dtype}"
            raise _NotDownloaded(
                f"the hub has no ONNX file{kind} under {repository}. Choose backend='torch'."
            )
        folder = snapshot_download(
            repository,
            revision=wanted.revision,
            cache_dir=_caches()[0],
            allow_patterns=[escape(name) for name in files],
        )
    # Its HTTP library and its transfer library raise classes of their own; each means: not downloaded.
    except Exception as error:
        raise _NotDownloaded(_say_why(error, repository, wanted.revision)) from error
    if lack := find_lack(Path(folder), wanted.dim, engine, dtype):
        raise _NotDownloaded(
            f"what the hub has under {repository} is no model that {engine or 'yuyi'} can open: {lack}."
        )
    return Path(folder)


def _installed() -> Engine:
    """The engine that `auto` takes where a repository holds weights in both forms."""
    return "onnx" if find_spec("torch") is None else "torch"


def _say_why(error: Exception, repository: str, revision: str | None) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    match error:
        case _NotDownloaded():
            return str(error)
        case GatedRepoError():
            return f"{repository} is for those who accepted its terms on the hub. Accept them and log in."
        case RepositoryNotFoundError():
            return f"the hub has no {repository}, or keeps it private."
        case RevisionNotFoundError():
            return f"the hub has no revision {revision} of {repository}."
    reason = str(error).strip() or type(error).__name__
    return f"{repository} could not be fetched ({reason.splitlines()[0].rstrip('.')})."
