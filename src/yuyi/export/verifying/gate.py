"""The gate: a form too far from its model is not published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.errors import ModelError

if TYPE_CHECKING:
    from yuyi.parity import Parity

# Of a model's correlation with the pairs, what a form without cosines to it must keep. Tables that learned
# from texts keep nearly all of it.
_SHARE = 0.5


def check_gate(parity: Parity) -> None:
    """Return when every form is near enough to the model.

    Raises:
        ModelError: one is not; the message holds the texts that suffer most.
    """
    for form in parity.forms:
        if not form.passes:
            by = "" if form.runtime == "yuyi" else f" run by {form.runtime}"
            worst = "; ".join(f"{text[:40]!r} {cosine:.5f}" for text, cosine in form.worst)
            mean = "unknown" if form.mean is None else f"{form.mean:.5f}"
            raise ModelError(
                f"{parity.model} as {form.target}{by}: mean cosine {mean} to the model in float32, "
                f"and at least {form.least} is asked for; nothing was written. Worst: {worst}. Choose "
                "another form, calibrate on texts like yours, or lower --least."
            )
        if form.mean is None and (form.sts or 0.0) < (due := _SHARE * (parity.reference.sts or 0.0)):
            raise ModelError(
                f"{parity.model} as {form.target}: STS {form.sts or 0.0:.2f}, and at least half of the "
                f"model's, {due:.2f}, is asked for; nothing was written. Give texts to learn from, or more "
                "of them (--distil)."
            )
