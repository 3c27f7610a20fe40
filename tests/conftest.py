"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Tests run side by side, one a core; torch's threads would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Whoever shares the machine with others may have set it; tests that are about it set it themselves.
os.environ.pop("YUYI_CORES", None)

# What a shell starts in the background has no Ctrl-C, nor have its children, which are tested with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine is no failure of the code.
settings.register_profile("yuyi", deadline=None)
settings.load_profile("yuyi")

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The evaluation data beside the checkout; its absence is a failure, not a skip."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.fail(f"{folder} is missing; tests marked `shared` need it (or use -m 'not shared')")
    return folder
