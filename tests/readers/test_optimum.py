"""An exported folder in sentence-transformers with `backend="onnx"`, which optimum-onnx runs.

optimum-onnx cannot be installed beside transformers 5: `pip install -e '.[readers]'` in an environment of its
own, then `pytest -m readers tests/readers`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import yuyi
from yuyi.encode.load import find_folder
from yuyi.export.base import write_base
from yuyi.export.onnx_forms import write_float32
from yuyi.export.quantizing.forms import write_half, write_int8
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import open_source

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINY = Path(__file__).parent.parent / "tiny"
MODELS = ("bert-dense", "bert-plain", "bert-zh", "modernbert", "roberta", "xlm-roberta")
FILES = {"float32": "model.onnx", "float16": "model_fp16.onnx", "int8": "model_quantized.onnx"}
TEXTS = [
    "",
    "我",
    "今天天气很好，我们去公园散步。",
    "语义搜索 turns text into 向量, then compares them 😀𠮷",
    "Where can I buy a good watch in Hong Kong? " * 40,
]
# The longest text is cut; what other packages warn of is theirs.
pytestmark = [pytest.mark.readers, pytest.mark.filterwarnings("ignore")]


def exported(folder: Path, name: str, *, narrow: bool = False) -> Path:
    settings = ExportSettings(targets=("onnx", "onnx-int8", "onnx-fp16"))
    pooling: Any = "mean" if name == "bert-plain" else None
    source = open_source(find_folder(TINY / name), Smaller(), pooling=pooling)
    write_base(folder, source, settings.targets)
    for write in (write_float32, write_int8, write_half) if narrow else (write_float32,):
        write(folder, source, settings)
    return folder


def by_optimum(folder: Path, **model: str) -> NDArray[np.float32]:
    from sentence_transformers import SentenceTransformer

    opened = SentenceTransformer(
        str(folder), backend="onnx", device="cpu", local_files_only=True, model_kwargs=model
    )
    assert type(opened[0].auto_model).__name__.startswith("ORTModel")
    return np.stack([opened.encode(text) for text in TEXTS])


@pytest.mark.parametrize("name", MODELS)
def test_vectors_of_every_architecture(tmp_path: Path, name: str) -> None:
    wanted = yuyi.load(exported(tmp_path, name), backend="onnx").encode(TEXTS, normalize=False)
    np.testing.assert_allclose(by_optimum(tmp_path), wanted, atol=1e-5)


def test_files_in_other_types_are_chosen_by_name(tmp_path: Path) -> None:
    exported(tmp_path, "bert-zh", narrow=True)
    for dtype, name in FILES.items():
        encoder = yuyi.load(tmp_path, backend="onnx", dtype=dtype)
        wanted = np.stack([encoder.encode(text, normalize=False) for text in TEXTS])
        np.testing.assert_allclose(by_optimum(tmp_path, file_name=f"onnx/{name}"), wanted, atol=1e-5)
