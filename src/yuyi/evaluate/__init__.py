"""Judging a model: mteb's tasks and metrics on local files, offline.

report = yuyi.evaluate.evaluate(encoder, Path("eval"))
report.values()      # {"STS13": 63.3, ...}
"""

from yuyi.evaluate.local import EvalSet, find_sets
from yuyi.evaluate.run import Report, Score, evaluate

__all__ = ["EvalSet", "Report", "Score", "evaluate", "find_sets"]
