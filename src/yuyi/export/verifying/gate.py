"""The gate: a form too far from its model is not published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.errors import ModelError

if TYPE_CHECKING:
    from yuyi.parity import Parity


def check_gate(parity: Parity) -> None:
    """Return when every form is near enough to the model.

    Raises:
        ModelError: one is not; the message holds the texts that suffer most.
    """
    for form in parity.forms:
        if not form.passes:
            by = "" if form.runtime == "yuyi" else f" run by {form.runtime}"
            worst = "; ".join(f"{text[:40]!r} {cosine:.5f}" for text, cosine in form.worst)
            raise ModelError(
                f"{parity.model} as {form.target}{by}: mean cosine {form.mean:.5f} to the model in float32, "
                f"and at least {form.least} is asked for; nothing was written. Worst: {worst}. Choose "
                "another form, calibrate on texts like yours, or lower --least."
            )
