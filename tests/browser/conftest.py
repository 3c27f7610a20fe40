"""What tests with Node, Deno and Chromium need: npm packages, and models exported for browsers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from yuyi.export.base import write_base
from yuyi.export.browser import write_browser
from yuyi.export.onnx_forms import write_float32
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import open_source

TINY = Path(__file__).parent.parent / "tiny"
# The least cosine between two runtimes of one int8 file, whose kernels round otherwise.
CLOSE = 0.995
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def modules() -> Path:
    """A folder with node_modules; its absence is a failure, not a skip."""
    folder = Path(os.environ.get("YUYI_JAVASCRIPT", "") or "there is none")
    for name in ("@huggingface/transformers", "deno"):
        if not (folder / "node_modules" / name).is_dir():
            pytest.fail(
                f"YUYI_JAVASCRIPT={folder}: tests marked `browser` need a folder where npm has installed "
                "@huggingface/transformers and deno (or use -m 'not browser')"
            )
    return folder


def _written(folder: Path, model: Path | None) -> Path:
    folder.mkdir()
    source, settings = open_source(model, Smaller()), ExportSettings(targets=("browser",))
    write_base(folder, source, settings.targets)
    write_float32(folder, source, settings)
    write_browser(folder, source, settings)
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder whose vectors the pipeline of Transformers.js can make."""
    return _written(tmp_path_factory.mktemp("encoder") / "模型", TINY / "bert-zh")


@pytest.fixture(scope="session")
def with_dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder with a dense layer, which the pipeline does not know."""
    return _written(tmp_path_factory.mktemp("with-dense") / "model", TINY / "bert-dense")


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded token table."""
    return _written(tmp_path_factory.mktemp("embedded") / "model", None)
