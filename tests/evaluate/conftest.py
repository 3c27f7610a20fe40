"""The folder and the encoder that the tests of this room share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .bigrams import BigramEncoder
from .card_results import copy
from .sets import write_every_kind

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def encoder() -> BigramEncoder:
    return BigramEncoder()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one set of each kind; not to be changed."""
    return write_every_kind(tmp_path_factory.mktemp("eval"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of a tiny transformer, to be changed as one likes."""
    return copy("bert-zh", tmp_path)
