"""What is published: whole, and with the permissions of ordinary files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file

from yuyi.artifacts import publish_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_published_folder_is_readable_like_ordinary_files(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with publish_folder(tmp_path / "模型") as folder:
            (folder / "onnx").mkdir(mode=0o700)
            (folder / "config.json").write_text("{}")
            # Written through a temporary file that others may not read.
            save_file({"rows": np.zeros(2)}, folder / "onnx" / "model.safetensors")
            (folder / "onnx" / "model.safetensors").chmod(0o600)
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    folders, files = 0o777 & ~mask, 0o666 & ~mask
    assert found == {"模型": folders, "onnx": folders, "config.json": files, "model.safetensors": files}
