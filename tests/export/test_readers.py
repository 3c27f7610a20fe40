"""An exported folder in other libraries, as it is: the vectors are yuyi's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from sentence_transformers import SentenceTransformer

import yuyi
from yuyi.encode.load import find_folder
from yuyi.export.base import write_base
from yuyi.export.onnx_forms import write_float32
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import open_source
from yuyi.pipeline import read_pipeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from yuyi.pipeline import Pooling

    Vectors = NDArray[np.float32]

TINY = Path(__file__).parent.parent / "tiny"
MODELS = ("bert-dense", "bert-plain", "bert-zh", "gte-new", "modernbert", "roberta", "xlm-roberta")
TEXTS = [
    "",
    "我",
    "今天天气很好，我们去公园散步。",
    "How do I renew my passport?",
    "语义搜索 turns text into 向量, then compares them 😀𠮷",
    "向量数据库保存这些向量。" * 40,
    "Where can I buy a good watch in Hong Kong? " * 40,
]
pytestmark = pytest.mark.filterwarnings("ignore::yuyi.errors.YuyiWarning")  # The longest texts are cut.


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every tiny model with its weights and its ONNX file, under its name."""
    home = tmp_path_factory.mktemp("exported")
    settings = ExportSettings(targets=("onnx", "folder"))
    for name in MODELS:
        pooling: Pooling | None = "mean" if name == "bert-plain" else None
        source = open_source(find_folder(TINY / name), Smaller(), pooling=pooling)
        (home / name).mkdir()
        write_base(home / name, source, settings.targets)
        write_float32(home / name, source, settings)
    return home


def by_yuyi(folder: Path) -> Vectors:
    return cast("Vectors", yuyi.load(folder, backend="onnx").encode(TEXTS, normalize=False))


@pytest.mark.parametrize("name", MODELS)
def test_yuyi_opens_the_file_and_the_weights(home: Path, name: str) -> None:
    weights = yuyi.load(home / name, backend="torch", dtype="float32").encode(TEXTS, normalize=False)
    np.testing.assert_allclose(by_yuyi(home / name), weights, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_sentence_transformers_opens_the_weights(home: Path, name: str) -> None:
    found = SentenceTransformer(str(home / name), device="cpu", local_files_only=True).encode(TEXTS)
    np.testing.assert_allclose(found, by_yuyi(home / name), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "bert-dense"])
def test_fastembed_opens_the_file(home: Path, name: str) -> None:
    pipeline = read_pipeline(home / name)
    TextEmbedding.add_custom_model(
        model=f"tiny/{name}",
        pooling=PoolingType[pipeline.pooling[0].upper()],
        normalization=bool(pipeline.heads),
        sources=ModelSource(hf=f"tiny/{name}"),
        dim=32,
        model_file="onnx/model.onnx",
    )
    model = TextEmbedding(f"tiny/{name}", specific_model_path=str(home / name), threads=1)
    found = np.stack(list(model.embed(TEXTS)))
    np.testing.assert_allclose(found, by_yuyi(home / name), atol=1e-5)


def test_onnxruntime_alone_gives_the_vector_behind_dense_layers(home: Path) -> None:
    """Its readers know no dense layers; the graph has them, and its second output is the vector."""
    import onnxruntime
    from transformers import AutoTokenizer

    folder = home / "bert-dense"
    batch = AutoTokenizer.from_pretrained(folder)(
        TEXTS, padding=True, truncation=True, max_length=64, return_tensors="np"
    )
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["sentence_embedding"], dict(batch))
    np.testing.assert_allclose(found, by_yuyi(folder), atol=1e-5)
