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

heavy = {"mteb", "torch", "datasets", "pyarrow", "huggingface_hub"} & set(sys.modules)
assert not heavy, heavy
# Whoever imported these before may have had them online, and has them so afterwards.
import datasets
import huggingface_hub
from huggingface_hub import constants

names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "MTEB_CACHE")
def state():
    environment = [os.environ.get(name) for name in names]
    libraries = (constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE)
    words = huggingface_hub.utils.logging.get_verbosity()
    return environment, libraries, datasets.are_progress_bars_disabled(), words

before = state()
assert before[:3] == ([None] * 4, (False, False), False), before

class Asking(BigramEncoder):
    # Tries the hub while it works.
    def _encode(self, inputs):
        try:
            huggingface_hub.HfApi().dataset_info("C-MTEB/AFQMC")
        except huggingface_hub.errors.OfflineModeIsEnabled:
            return super()._encode(inputs)
"""
LOCAL = """
home, files = Path.home(), lambda: [path for path in Path.home().rglob("*") if path.is_file()]
there = files()
results = evaluate(Asking(), local_tasks(Path(sys.argv[2])))
assert len({result.type for result in results}) == 8
assert not touched, touched
assert state() == before, state()
assert files() == there, set(files()) - set(there)
"""
NAMED = """
from yuyi.evaluate.tasks.named import named_tasks
tasks = {task.name: task for task in named_tasks(suite="C-MTEB (35)")}
wanted = [tasks[name] for name in ("AFQMC", "STS22", "CmedqaRetrieval")]
encoder = BigramEncoder(4)  # small enough to make mistakes
found = {result.task: result for result in evaluate(encoder, wanted)}
assert list(found["STS22"].scores["test"]) == ["zh"]
# The same rows as a local set: what was built of them is what mteb builds.
for mine in evaluate(encoder, local_tasks(Path(sys.argv[3]))):
    theirs = found[mine.task]
    (metrics,) = (subsets["default"] for subsets in theirs.scores.values())
    ours = mine.scores["test"]["default"]
    assert set(ours) == set(metrics) and len(ours) > 5, (ours, metrics)
    assert all(abs(ours[name] - value) < 1e-9 for name, value in metrics.items()), (ours, metrics)
    assert 0.1 < mine.main_score < 0.99, mine.main_score
    assert (mine.type, mine.metric) == (theirs.type, theirs.metric)
assert not touched, touched
assert state() == before, state()
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
    # The hub is asked for the data set once, not again and again for half a minute.
    assert (0 < len(touched) < 3) == (not setting), touched
    touched.clear()
try:
    tasks["LCQMC"].open()
except InputError as error:
    assert "not a whole copy of C-MTEB/LCQMC" in str(error) and chr(10) not in str(error), error
else:
    raise SystemExit("opened what is not whole")
"""
FORGET = (
    *("MTEB_CACHE", "HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "XDG_CACHE_HOME", "YUYI_OFFLINE"),
    *("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"),
)


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


def test_neither_network_nor_home_is_touched(tmp_path: Path) -> None:
    """Local sets of every type, then named tasks, which are read from the cache at their commit."""
    home, folder, same = (tmp_path / name for name in ("home", "sets", "same"))
    for each in (home, folder, same):
        each.mkdir()
    write_eight_kinds(folder)
    tasks = {task.name: task for task in find_suite(CMTEB_35).tasks}
    pairs = [
        {"sentence1": thing, "sentence2": thing[cut:], "score": 5 - cut}
        for thing in THINGS
        for cut in (0, 1, 5)
    ]
    cached(home, tasks["AFQMC"], {"default": pairs})
    write(same / "AFQMC.parquet", pairs)
    mixed = [{**pair, "lang": lang} for pair in pairs for lang in ("zh", "en")]
    cached(home, tasks["STS22"], {"default": mixed})
    cached(home, tasks["LCQMC"], {"default": pairs})
    next(home.rglob("datasets--C-MTEB--LCQMC/**/rows.parquet")).unlink()
    places = range(len(THINGS))
    corpus = [{"_id": f"d{i}", "title": "", "text": THINGS[i]} for i in places]
    queries = [{"_id": f"q{i}", "text": THINGS[i][2:]} for i in places]
    qrels = [{"query-id": f"q{i}", "corpus-id": f"d{i}", "score": 1} for i in places]
    cached(home, tasks["CmedqaRetrieval"], {"corpus": corpus, "queries": queries, "qrels": qrels})
    for part, rows in (("corpus", corpus), ("queries", queries), ("qrels", qrels)):
        named = [{column.strip("_").replace("-", "_"): row[column] for column in row} for row in rows]
        write(same / f"CmedqaRetrieval.{part}.parquet", named)
    kept = {name: value for name, value in os.environ.items() if name not in FORGET}
    result = subprocess.run(
        [sys.executable, "-c", BLOCKED + LOCAL + NAMED, *map(str, (TESTS, folder, same))],
        env={**kept, "HF_HOME": str(home), "HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert "Retrying" not in result.stderr and "thrown while" not in result.stderr
