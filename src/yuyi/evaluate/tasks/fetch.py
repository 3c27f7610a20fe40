"""The data set of a named task, at the very commit that its suite pins."""

from __future__ import annotations

import contextlib
import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OFFLINE = ("YUYI_OFFLINE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
_PATIENCE = 30.0  # seconds
_YES = ("1", "ON", "YES", "TRUE")


def fetch_dataset(repository: str, revision: str, *, whole: bool = False) -> Path:
    """The folder of a data set in the cache of huggingface_hub, downloaded only if it is not there.

    The cache of `datasets` is not asked: offline it gives whichever commit it saw last.

    Args:
        repository: its name on the hub.
        revision: commit.
        whole: whether to ask the hub for files that the cache lacks; it has some only where another program
            wanted no more.

    Raises:
        InputError: it is not in the cache and may not be, or cannot be, downloaded; the message says how to
            get it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    download = partial(snapshot_download, repository, repo_type="dataset", revision=revision)
    if not whole:
        with contextlib.suppress(LocalEntryNotFoundError):
            return Path(download(local_files_only=True))
    forbidden = [name for name in _OFFLINE if os.environ.get(name, "").upper() in _YES]
    if forbidden:
        raise _absent(repository, revision, f"{forbidden[0]} is set")
    try:
        with _online():
            _reach(repository, revision)
            return Path(download())
    # Its HTTP library and its transfer library raise classes of their own; each means: not downloaded.
    except Exception as error:
        advice = f" With {_OFFLINE[0]}=1 no download is tried."
        raise _absent(repository, revision, first_line(error), advice) from error


def how_to_get(repository: str, revision: str) -> str:
    """What to do to have a data set on a machine."""
    return (
        f"Run `hf download --repo-type dataset {repository} --revision {revision}` where there is a network "
        "and copy that cache here ($HF_HOME), or describe a copy of your own in a tasks.yaml for --data."
    )


def first_line(error: Exception) -> str:
    """What went wrong, without the lines of advice that libraries add."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _absent(repository: str, revision: str, reason: str, advice: str = "") -> InputError:
    return InputError(
        f"{repository} at {revision[:12]}: not in the cache, and not downloaded ({reason}). "
        f"{how_to_get(repository, revision)}{advice}"
    )


def _reach(repository: str, revision: str) -> None:
    """Ask the hub once: a download would ask an address that cannot be reached for half a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # A hub that answers with a fault is there, and the download knows which faults pass.
    with contextlib.suppress(HfHubHTTPError):
        HfApi().dataset_info(repository, revision=revision, timeout=_PATIENCE)


@contextlib.contextmanager
def _online() -> Iterator[None]:
    """Let huggingface_hub reach the hub, which `offline` told it not to, without a word on standard error."""
    from huggingface_hub import constants
    from huggingface_hub.utils import logging as words
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    before, verbosity, bars = constants.HF_HUB_OFFLINE, words.get_verbosity(), are_progress_bars_disabled()
    constants.HF_HUB_OFFLINE = False
    words.set_verbosity(logging.ERROR)
    disable_progress_bars()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        words.set_verbosity(verbosity)
        if not bars:
            enable_progress_bars()
