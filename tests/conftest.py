"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Tests run side by side, one a core; torch's threads would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

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
