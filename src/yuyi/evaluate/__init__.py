"""Judging a model: mteb's tasks and metrics on local files or named suites, offline.

results = yuyi.evaluate.evaluate("gte-small-zh", local_tasks(Path("eval")), Sweep(dims=(512, 256)))
{result.task: 100 * result.main_score for result in results}      # {"STS13": 63.3, ...}
"""

from yuyi.evaluate.results import Result
from yuyi.evaluate.run import evaluate
from yuyi.evaluate.settings import Sweep
from yuyi.evaluate.tasks.local import local_tasks
from yuyi.evaluate.tasks.task import EvalTask

__all__ = ["EvalTask", "Result", "Sweep", "evaluate", "local_tasks"]
