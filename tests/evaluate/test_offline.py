"""Nothing reaches for the network: local sets of every type, and named tasks whose data are in the cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from yuyi.evaluate.suites import CMTEB_35, Task, find_suite

from .sets import THINGS, write, write_eight_kinds

TESTS = Path(__file__).parent.parent
BLOCKED = """
import os, socket, sys
from pathlib import Path

touched = []

def refuse(*where, **more):
    touched.append(where)
    raise OSError("no network here")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
sys.path.insert(0, sys.argv[1])
from evaluate.bigrams import BigramEncoder
from yuyi.errors import InputError
from yuyi.evaluate.tasks.local import local_tasks
from yuyi.evaluate.run import evaluate
"""
LOCAL = """
names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "MTEB_CACHE")
before = [os.environ.get(name) for name in names]
tasks = local_tasks(Path(sys.argv[2]))
heavy = {"mteb", "torch", "datasets"} & set(sys.modules)
assert not heavy, heavy
results = evaluate(BigramEncoder(), tasks)
assert [os.environ.get(name) for name in names] == before
assert len({result.type for result in results}) == 8
assert not touched, touched
"""
NAMED = """
from yuyi.evaluate.tasks.named import named_tasks
tasks = {task.name: task for task in named_tasks(suite="C-MTEB (35)")}
wanted = [tasks[name] for name in ("AFQMC", "STS22", "CmedqaRetrieval")]
found = {result.task: result for result in evaluate(BigramEncoder(), wanted)}
assert list(found["STS22"].scores["test"]) == ["zh"]
assert found["CmedqaRetrieval"].main_score > 0.9
assert not touched, touched
for setting in ("", "1"):
    os.environ["YUYI_OFFLINE"] = setting
    try:
        tasks["BQ"].open()
    except InputError as error:
        reason = "YUYI_OFFLINE is set" if setting else "no network here"
        assert str(error).startswith("C-MTEB/BQ at e3dda5e115e4: not in the cache, and not downloaded"), error
        assert reason in str(error) and "hf download --repo-type dataset C-MTEB/BQ" in str(error), error
    else:
        raise SystemExit("opened what is not there")
    assert bool(touched) == (not setting), touched
    touched.clear()
try:
    tasks["LCQMC"].open()
except InputError as error:
    assert "not a whole copy of C-MTEB/LCQMC" in str(error) and chr(10) not in str(error), error
else:
    raise SystemExit("opened what is not whole")
"""


def run(script: str, *arguments: Path, **environment: str) -> None:
    forget = ("MTEB_CACHE", "HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "XDG_CACHE_HOME", "YUYI_OFFLINE")
    kept = {name: value for name, value in os.environ.items() if name not in forget}
    result = subprocess.run(
        [sys.executable, "-c", BLOCKED + script, str(TESTS), *map(str, arguments)],
        env={**kept, **environment},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_local_sets_of_every_type_touch_neither_network_nor_home(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "sets"
    home.mkdir()
    folder.mkdir()
    run(LOCAL, write_eight_kinds(folder), HOME=str(home))
    assert [path for path in home.rglob("*") if path.is_file()] == []


def cached(home: Path, task: Task, configs: dict[str, list[dict[str, object]]]) -> None:
    """Put a data set where huggingface_hub keeps a commit of it."""
    folder = home / "hub" / f"datasets--{task.dataset.replace('/', '--')}" / "snapshots" / task.revision
    card = "---\nconfigs:\n"
    for config, rows in configs.items():
        (folder / config).mkdir(parents=True)
        write(folder / config / "rows.parquet", rows)
        card += f"- config_name: {config}\n  data_files:\n  - split: {task.splits[0]}\n"
        card += f"    path: {config}/rows.parquet\n"
    (folder / "README.md").write_text(card + "---\n")


def test_named_tasks_are_read_from_the_cache_at_their_commit(tmp_path: Path) -> None:
    tasks = {task.name: task for task in find_suite(CMTEB_35).tasks}
    pairs = [
        {"sentence1": thing, "sentence2": thing[cut:], "score": cut} for thing in THINGS for cut in (0, 1, 5)
    ]
    cached(tmp_path, tasks["AFQMC"], {"default": pairs})
    mixed = [{**pair, "lang": lang} for pair in pairs for lang in ("zh", "en")]
    cached(tmp_path, tasks["STS22"], {"default": mixed})
    cached(tmp_path, tasks["LCQMC"], {"default": pairs})
    next(tmp_path.rglob("datasets--C-MTEB--LCQMC/**/rows.parquet")).unlink()
    places = range(len(THINGS))
    cached(
        tmp_path,
        tasks["CmedqaRetrieval"],
        {
            "corpus": [{"_id": f"d{i}", "title": "", "text": THINGS[i]} for i in places],
            "queries": [{"_id": f"q{i}", "text": THINGS[i][2:]} for i in places],
            "qrels": [{"query-id": f"q{i}", "corpus-id": f"d{i}", "score": 1} for i in places],
        },
    )
    run(NAMED, HF_HOME=str(tmp_path), HOME=str(tmp_path))
