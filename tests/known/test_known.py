from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.known import all_models, find

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.known import Known

ZH, EN = "C-MTEB (35)", "MTEB English (56)"
KINDS = ("retrieval", "sts", "pair_classification", "classification", "reranking", "clustering")


def named(name: str) -> Known:
    model = find(name)
    assert model is not None, name
    return model


@pytest.mark.parametrize(
    ("name", "hub_id", "layers", "dim", "pooling", "max_tokens"),
    [
        ("gte-small-zh", "thenlper/gte-small-zh", 6, 512, "cls", 512),
        ("gte-base-zh", "thenlper/gte-base-zh", 12, 768, "cls", 512),
        ("gte-large-zh", "thenlper/gte-large-zh", 24, 1024, "cls", 512),
        ("gte-small", "thenlper/gte-small", 12, 384, "mean", 512),
        ("gte-base", "thenlper/gte-base", 12, 768, "mean", 512),
        ("gte-large", "thenlper/gte-large", 24, 1024, "mean", 512),
        ("Dmeta-embedding", "DMetaSoul/Dmeta-embedding-zh", 12, 768, "cls", 1024),
        ("acge_text_embedding", "aspire/acge_text_embedding", 24, 1792, "mean", 1024),
        ("Supabase/gte-small", "Supabase/gte-small", 12, 384, "mean", 512),
    ],
)
def test_the_seeds(name: str, hub_id: str, layers: int, dim: int, pooling: str, max_tokens: int) -> None:
    model = named(name)
    assert (model.id, model.layers, model.dim) == (hub_id, layers, dim)
    assert (model.pooling, model.max_tokens) == (pooling, max_tokens)


def test_a_model_is_found_by_each_of_its_names_in_any_case() -> None:
    for model in all_models():
        assert find(model.name) is find(model.name.upper()) is model
        if model.id:
            assert find(model.id) is find(model.id.lower()) is model
    assert find("Dmeta-embedding-zh") is find("Dmeta-embedding")
    assert find("gte-small") is not find("Supabase/gte-small")
    assert find("someone/gte-small") is None
    assert find("") is None


def test_names_are_unique_and_of_the_form_the_hub_takes() -> None:
    models = all_models()
    for names in ([model.name for model in models], [model.id for model in models if model.id]):
        assert len({name.casefold() for name in names}) == len(names)
    for model in models:
        assert model.id is None or re.fullmatch(r"[\w.-]+/[\w.-]+", model.id, re.ASCII)
        assert model.id or not model.opens


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)
def test_facts_fit_each_other(model: Known) -> None:
    assert model.dims[0] == model.dim
    assert all(larger > smaller > 0 for larger, smaller in pairwise(model.dims))
    assert model.pooling in (None, "cls", "mean", "last")
    assert model.max_tokens is None or 128 <= model.max_tokens <= 8192
    assert set(model.languages) <= {"zh", "en", "multilingual"}
    assert set(model.prompts) <= {"query", "document"}
    assert model.license is None or model.license == model.license.lower()
    assert model.parameters is None or 20 < model.parameters < 8000
    if model.opens:
        assert model.architecture in ("bert", "roberta", "xlm-roberta", "modernbert", "new")
    for board, means in model.scores.items():
        assert board in (ZH, EN)
        assert set(means) == {"average", *KINDS} | ({"summarization"} if board == EN else set())
        kinds = [means[kind] for kind in means if kind != "average"]
        assert min(kinds) < means["average"] < max(kinds) < 100


# A BERT encoder with its pooler, two token types and a feed-forward four times as wide.
@pytest.mark.parametrize(
    ("name", "vocabulary", "positions"),
    [
        ("gte-base-zh", 21_128, 512),
        ("gte-large-zh", 21_128, 512),
        ("Dmeta-embedding", 21_128, 1_024),
        ("bge-base-zh-v1.5", 21_128, 512),
        ("bge-small-zh-v1.5", 21_128, 512),
        ("gte-small", 30_522, 512),
        ("gte-base", 30_522, 512),
        ("gte-large", 30_522, 512),
        ("all-MiniLM-L6-v2", 30_522, 512),
    ],
)
def test_parameters_follow_from_the_shape(name: str, vocabulary: int, positions: int) -> None:
    model = named(name)
    h = model.dim or 0
    layer = 4 * (h * h + h) + 2 * (4 * h * h) + 4 * h + h + 4 * h
    total = (vocabulary + positions + 2) * h + 2 * h + (model.layers or 0) * layer + h * h + h
    assert model.parameters == pytest.approx(total / 1e6, abs=0.006)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("table", "board"),
    [
        ("c_mteb_table_gte_card", ZH),
        ("c_mteb_table_dmeta_card", ZH),
        ("mteb_en_table_gte_card", EN),
    ],
)
def test_averages_are_those_of_the_cards(shared_data: Path, table: str, board: str) -> None:
    published: dict[str, Any] = json.loads((shared_data.parent / "reference" / "published.json").read_bytes())
    first = {row["model"] for row in published["c_mteb_table_gte_card"]}
    for row in published[table]:
        model = named(row["model"])
        means = model.scores[board]
        assert means["average"] == row["average"], model.name
        assert model.dim == row["dimension"]
        if table == "c_mteb_table_dmeta_card" and model.name in first:
            continue  # The two cards print other kinds for the same model; the GTE card's stand.
        assert {kind: row[kind] for kind in means} == means, model.name


@pytest.mark.shared
def test_acge_has_the_lowest_of_its_runs(shared_data: Path) -> None:
    published = json.loads((shared_data.parent / "reference" / "published.json").read_bytes())
    runs = published["c_mteb_table_acge_card"]
    means = named("acge_text_embedding").scores[ZH]
    assert means["average"] == min(run["average"] for run in runs)
    assert any(all(run[kind] == means[kind] for kind in means) for run in runs)
