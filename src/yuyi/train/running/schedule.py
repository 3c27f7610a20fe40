"""The learning rate of each step: a rise over the warm-up, then one of three ways down."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yuyi.train.config import Stage

# Share of the steps over which `wsd` falls (Hu et al. 2024, MiniCPM, arXiv 2404.06395, takes 0.1 to 0.2).
_DECAY = 0.2


def rate_at(stage: Stage, step: int) -> float:
    """Learning rate of a step of a stage.

    The step `warmup`, or the first where there is none, has `learning_rate`; the last has `final_rate` times
    it. Between them, with `left` the share of the way down that is still to go, 1 at the highest and 0 at the
    last, the rate is `learning_rate * (final_rate + (1 - final_rate) * shape)`, where shape is `left`
    (linear), `(1 - cos(pi * left)) / 2` (cosine; Loshchilov and Hutter 2016, arXiv 1608.03983), or 1 until
    the last fifth of the stage and linear over it (wsd).

    Args:
        stage: names the schedule and its numbers.
        step: from 1 to `stage.steps`.
    """
    top = max(1, stage.warmup)
    if step <= top:
        return stage.highest_rate * step / top
    falling = stage.steps - top
    if stage.schedule == "wsd":
        falling = min(falling, math.ceil(stage.steps * _DECAY))
    left = min(1.0, (stage.steps - step) / falling)
    shape = (1 - math.cos(math.pi * left)) / 2 if stage.schedule == "cosine" else left
    return stage.highest_rate * (stage.final_rate + (1 - stage.final_rate) * shape)
