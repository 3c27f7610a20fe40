"""mteb without network and without files left in the home folder."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from yuyi.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator

_CACHE = "MTEB_CACHE"


def import_mteb() -> Any:
    """The package `mteb`.

    It makes a folder for its results while it is imported; it gets a temporary one.

    Raises:
        MissingExtra: mteb or pyarrow is not installed.
    """
    require("eval")
    before = os.environ.get(_CACHE)
    with offline(), tempfile.TemporaryDirectory(prefix="yuyi-mteb-") as folder:
        os.environ[_CACHE] = folder
        try:
            import mteb
        finally:
            del os.environ[_CACHE]
            if before is not None:
                os.environ[_CACHE] = before
    return mteb


@contextmanager
def offline() -> Iterator[None]:
    """A block in which the libraries of Hugging Face reach for no network and draw no progress bars.

    They look at the environment only when they are imported, which may be long ago, so they are told in
    their own settings; afterwards these are as before.
    """
    import datasets
    from huggingface_hub import constants

    settings = (
        (constants, "HF_HUB_OFFLINE"),
        (constants, "HF_HUB_DISABLE_TELEMETRY"),
        (datasets.config, "HF_HUB_OFFLINE"),
    )
    before = [getattr(module, name) for module, name in settings]
    bars = datasets.are_progress_bars_disabled()
    try:
        for module, name in settings:
            setattr(module, name, True)
        datasets.disable_progress_bars()
        yield
    finally:
        for (module, name), value in zip(settings, before, strict=True):
            setattr(module, name, value)
        if not bars:
            datasets.enable_progress_bars()
