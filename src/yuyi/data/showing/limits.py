"""Which setting the number of a mark is compared with, so that a chart of these numbers can show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.records import DOCUMENT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# None where nothing is compared, or where the limit depends on the pair: on its kind, the size of its pool,
# the letters of a word.
LIMITS: dict[str, tuple[str, ...]] = {
    "empty": (),
    "too short": (),
    "too long": ("longest_a", "longest_b"),
    "copied": ("copied",),
    "repetition": ("repetition",),
    "symbols": ("symbols",),
    "digits": ("digits",),
    "boilerplate": ("boilerplate",),
    "unwanted language": (),
    "language mismatch": (),
    "simplified script": (),
    "traditional script": (),
    "incomplete": ("incomplete",),
    "code": ("code",),
    "links": ("links",),
    "blocklist": ("blocked",),
    "duplicate": (),
    "near duplicate": ("near",),
    "repeated answer": ("answer_limit",),
    "repeated question": ("question_limit",),
    "equals evaluation": (),
    "contains evaluation": (),
    "near evaluation": ("near",),
    "shares evaluation": (),
    "resembles evaluation": ("similarity",),
    "inconsistent": (),
    "low quality": ("least",),
}


def limits_of(reason: str, settings: Mapping[str, Any]) -> dict[str, float]:
    """The limits of a reason by name of the setting, out of the settings of the step that gave it."""
    names = LIMITS.get(reason.removeprefix(DOCUMENT_PREFIX), ())
    return {name: float(settings[name]) for name in names if settings.get(name) is not None}
