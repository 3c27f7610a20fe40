"""Examples for a page: pairs of strangers' texts, with their marks and where they came from.

The texts may hold anything. Each is escaped, control characters are shown as such, and its direction of
writing cannot leak into the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.page import safe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yuyi.data.showing.trace import Sample

# Characters of a text.
_LONGEST = 700


def examples(samples: Iterable[Sample], reason: str) -> str:
    """The pairs, folded away, as HTML; `reason` is the one that they are examples of."""
    rows = [example(each, reason) for each in samples]
    if not rows:
        return ""
    return f"<details><summary>{len(rows)} random examples · 随机样例</summary>{''.join(rows)}</details>"


def example(sample: Sample, reason: str = "") -> str:
    """A pair with its marks, that for `reason` first and in colour, and its origin, as HTML."""
    pair = sample.pair
    marks = "".join(
        f'<span class="{"badge" if mark.reason == reason else ""}">{safe(mark.reason)} {mark.value:.4g}'
        f"{' · ' + safe(mark.note) if mark.note else ''}</span>"
        for mark in sorted(sample.marks, key=lambda each: each.reason != reason)
    )
    where = (
        f"{safe(pair.doc_id)} [{pair.start:,}–{pair.end:,}]"
        if pair.doc_id and pair.start >= 0
        else safe(pair.doc_id)
    )
    tokens = f"<span>{pair.tokens_a:,} / {pair.tokens_b:,} tokens</span>" if pair.tokens_b >= 0 else ""
    label = f"<span>label {pair.label:g}</span>" if pair.label is not None else ""
    return (
        '<div class="sample"><div class="sides">'
        f'<div class="text ask" dir="auto">{safe(pair.text_a, _LONGEST)}</div>'
        f'<div class="text" dir="auto">{safe(pair.text_b, _LONGEST)}</div></div><div class="meta">{marks}'
        f"<span>{safe(pair.source)}</span><span>{safe(pair.kind)}</span><span>{safe(pair.lang)}</span>{label}"
        f"{tokens}<span>{where}</span><code>{safe(pair.pair_id)}</code></div></div>"
    )
