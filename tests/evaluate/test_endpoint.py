"""An endpoint is an encoder: a real server with a small model behind it, and what it may answer instead."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from faulty_server import FaultyHandler, FaultyServer, running

import yuyi
from yuyi.errors import InputError, ModelError, TaskError
from yuyi.evaluate import Sweep, evaluate, local_tasks
from yuyi.evaluate.endpoint import Endpoint
from yuyi.server import Server
from yuyi.types import Encoder

from .sets import THINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = Path(__file__).parent.parent / "tiny" / "static"
KEY = "YUYI_TEST_KEY"


class Embedder(FaultyServer):
    """Speaks the protocol with a model of 32 dimensions.

    Attributes:
        noise: by how much values differ from answer to answer, as a share of the value.
    """

    def __init__(self) -> None:
        self.model = yuyi.load(TINY)
        self.noise = 0.0
        self.random = np.random.default_rng(0)
        super().__init__(Handler)


class Handler(FaultyHandler):
    server: Embedder

    def reply(self, body: dict[str, Any], fault: str | None) -> None:
        texts = body["input"]
        if fault and fault.isdigit():
            self.answer(int(fault), json.dumps({"error": {"message": f"fault {fault}"}}))
        elif any("不许" in text for text in texts):
            self.answer(400, json.dumps({"error": {"message": "against the rules"}}))
        elif fault == "html":
            self.answer(200, "<html>gateway</html>")
        else:
            vectors = 3 * self.server.model.encode(texts, truncate_dim=body.get("dimensions"))
            vectors *= 1 + self.server.noise * self.server.random.standard_normal(vectors.shape)
            if fault == "nan":
                vectors[-1, 0] = np.nan
            if fault == "narrow":
                vectors = vectors[:, :-1]
            data = [{"index": place, "embedding": row} for place, row in enumerate(vectors.tolist())]
            self.answer(200, json.dumps({"data": data[fault == "fewer" :][::-1]}))


@pytest.fixture
def embedder() -> Iterator[Embedder]:
    with running(Embedder()) as server:
        yield server


def server_at(embedder: Embedder) -> Server:
    return Server(base_url=embedder.url, model="tiny", key_variable=KEY, retries=2, wait=0.0)


def test_its_vectors_are_those_of_the_model_in_the_order_of_the_texts(embedder: Embedder) -> None:
    endpoint = Endpoint(server_at(embedder), batch=3)
    assert isinstance(endpoint, Encoder)
    assert (endpoint.name, endpoint.dim) == ("tiny", 32)
    expected = embedder.model.encode(THINGS)
    np.testing.assert_allclose(endpoint.encode(THINGS), expected, atol=1e-6)
    np.testing.assert_allclose(endpoint.encode_query(THINGS), expected, atol=1e-6)
    np.testing.assert_allclose(endpoint.encode(THINGS, normalize=False), 3 * expected, atol=1e-5)
    before = embedder.model.encode(THINGS, prompt="查询：")
    np.testing.assert_allclose(endpoint.encode(THINGS, prompt="查询："), before, atol=1e-6)
    assert endpoint.encode([]).shape == (0, 32)
    assert all(set(body) == {"model", "input"} for body, _ in embedder.requests)


def test_the_key_and_dimensions_are_sent_when_there_are_any(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "secret")
    endpoint = Endpoint(server_at(embedder), dimensions=16)
    assert endpoint.dim == 16
    ((body, headers),) = embedder.requests
    assert (body["dimensions"], headers["Authorization"]) == (16, "Bearer secret")


def test_the_fingerprint_is_of_address_name_and_model(embedder: Embedder) -> None:
    embedder.noise = 0.002  # as much as bfloat16 rounds
    prints = {Endpoint(server_at(embedder)).fingerprint for _ in range(20)}
    assert len(prints) == 1
    others = [yuyi.load(TINY, truncate_dim=8), yuyi.load(TINY.parent / "bert-zh", device="cpu")]
    assert others[1].dim == yuyi.load(TINY).dim
    for other in others:
        embedder.model = other
        prints.add(Endpoint(server_at(embedder)).fingerprint)
    assert len(prints) == 3


def test_scores_are_those_of_the_model_itself(embedder: Embedder, folder: Path, tmp_path: Path) -> None:
    tasks = local_tasks(folder, ["similar", "found"])
    there = evaluate(Endpoint(server_at(embedder)), tasks, Sweep(dims=(32, 16)), results=tmp_path)
    here = evaluate(embedder.model, tasks, Sweep(dims=(32, 16)))
    assert [one.main_score for one in there] == pytest.approx([one.main_score for one in here], abs=1e-4)
    setting = there[0].setting
    assert (setting.backend, setting.dtype, setting.max_length, setting.overflow) == (
        "endpoint",
        "",
        None,
        "",
    )
    asked = len(embedder.requests)
    again = evaluate(Endpoint(server_at(embedder)), tasks, Sweep(dims=(32, 16)), results=tmp_path)
    assert again == there
    assert len(embedder.requests) == asked + 1  # the probe


def test_faults_that_pass_are_sat_out(embedder: Embedder) -> None:
    embedder.faults = ["500", "html", "429"]
    endpoint = Endpoint(Server(base_url=embedder.url, model="tiny", retries=3, wait=0.0))
    np.testing.assert_allclose(endpoint.encode(THINGS), embedder.model.encode(THINGS), atol=1e-6)


@pytest.mark.parametrize(
    ("fault", "message", "requests"),
    [
        ("401", r"/v1/embeddings: 401 .*fault 401\. Check .* model \(tiny\) and the key .* YUYI_TEST_KEY", 1),
        ("404", "404 .*fault 404", 1),
        ("500", "no answer in 3 tries, at last: 500 Internal Server Error: fault 500", 3),
        ("html", "no answer in 3 tries, at last: no embeddings but b'<html>", 3),
        ("fewer", "tiny gave 3 vectors for 4 texts", 1),
        ("nan", r"gave 'def add\(a, b\): return a \+ b' a vector that is not a number", 1),
    ],
)
def test_endpoints_that_are_none_are_refused(
    embedder: Embedder, fault: str, message: str, requests: int
) -> None:
    embedder.always = fault
    with pytest.raises((InputError, ModelError), match=message):
        Endpoint(server_at(embedder))
    assert len(embedder.requests) == requests


def test_a_model_that_changes_is_noticed(embedder: Embedder) -> None:
    endpoint = Endpoint(server_at(embedder))
    embedder.always = "narrow"
    with pytest.raises(ModelError, match="gave vectors of 31 values, and before of 32"):
        endpoint.encode(THINGS)


def test_a_text_that_is_refused_is_named(embedder: Embedder) -> None:
    endpoint = Endpoint(server_at(embedder))
    texts = [*THINGS, "这句话不许说", *THINGS[:3]]
    with pytest.raises(
        InputError, match=r"400 .*against the rules\. It refuses the text '这句话不许说' of 6"
    ):
        endpoint.encode(texts)


def test_an_endpoint_that_fails_amid_a_task_names_it(embedder: Embedder, folder: Path) -> None:
    endpoint = Endpoint(server_at(embedder))
    embedder.always = "nan"
    with pytest.raises(TaskError, match=r"similar: http.* a vector that is not a number"):
        evaluate(endpoint, local_tasks(folder, ["similar"]))


def test_addresses_that_are_none_and_settings_it_has_not(embedder: Embedder, folder: Path) -> None:
    with pytest.raises(
        InputError, match=r"localhost:8000/v1: no web address\. Give one that begins with http"
    ):
        Server(base_url="localhost:8000/v1", model="tiny")
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/v1/embeddings: no answer in 1 try,"):
        Endpoint(Server(base_url="http://127.0.0.1:9/v1", model="tiny", retries=0))
    endpoint = Endpoint(server_at(embedder))
    tasks = local_tasks(folder, ["similar"])
    with pytest.raises(InputError, match="overflow: tiny decides itself about long texts"):
        evaluate(endpoint, tasks, Sweep(overflows=("pool",)))
    with pytest.raises(
        InputError, match="dtypes, max_lengths: a model that is open already cannot change that"
    ):
        evaluate(endpoint, tasks, Sweep(dtypes=("float32",), max_lengths=(8,)))


def test_a_dead_address_is_tried_twice_and_one_that_falls_silent_longer(embedder: Embedder) -> None:
    waits: list[float] = []
    dead = Server(base_url="http://127.0.0.1:9/v1", model="tiny", pause=waits.append)
    with pytest.raises(InputError, match=r"no answer in 2 tries, at last: .*refused") as caught:
        Endpoint(dead)
    assert len(waits) == 1 and "is kept" not in str(caught.value)
    for keeps in (True, False):
        endpoint = Endpoint(replace(server_at(embedder), keeps=keeps))
        embedder.always = "500"
        with pytest.raises(InputError, match="no answer in 3 tries") as caught:
            endpoint.encode(["你好"])
        assert ("What was answered before is kept" in str(caught.value)) == keeps
        embedder.always = ""
