"""Importing mteb without network and without leaving files in the home folder."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from yuyi.extras import require

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def import_mteb() -> Any:
    """The package `mteb`, its Hugging Face libraries told to stay offline.

    They read these settings once, when they are imported, so the environment is as before when this returns.
    mteb also makes a folder for its results while it is imported; it gets a temporary one.

    Raises:
        MissingExtra: mteb or pyarrow is not installed.
    """
    require("eval")
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="yuyi-mteb-") as folder:
        os.environ.update(_OFFLINE, MTEB_CACHE=folder)
        try:
            import datasets
            import mteb
        finally:
            for name in (*_OFFLINE, "MTEB_CACHE"):
                _restore(name, before.get(name))
    datasets.disable_progress_bars()
    return mteb


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
