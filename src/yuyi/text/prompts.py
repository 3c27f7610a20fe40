"""Which text, if any, stands before each input: prompts, chosen as sentence-transformers does.

One folder is read otherwise: where a model calls its documents' prompt `passage` or `corpus` and has none
named `document`, sentence-transformers 6 takes the empty `document` prompt that it adds to every model. The
folder means its own, which is taken here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Names under which folders keep the prompts of the two roles; the first one there is used.
QUERY = ("query",)
DOCUMENT = ("document", "passage", "corpus")


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of a model.

    Attributes:
        texts: a prompt for each name.
        default: the name used where neither a name nor a role is given; None for no prompt.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None

    def choose(self, name: str | None, prompt: str | None, role: Sequence[str] = ()) -> str:
        """The prompt to put before each text, or the empty string.

        Args:
            name: a prompt's name; goes before the role's and the default.
            prompt: the prompt itself.
            role: names that fit what the texts are, tried in order; with a role, the default is never used.

        Raises:
            InputError: the model has no prompt of this name, or both a name and a prompt are given.
        """
        if prompt is not None:
            if name is not None:
                raise InputError(f"prompt={prompt!r} and prompt_name={name!r}: give one of the two.")
            if not isinstance(prompt, str):
                raise InputError(f"prompt={prompt!r}: not a string. Give the text to put before each input.")
            return prompt
        if name is not None and name not in self.texts:
            there = f"it has {', '.join(self.texts)}" if self.texts else "it has none; leave the name out"
            raise InputError(f"prompt_name={name!r}: the model has no prompt of this name; {there}.")
        if name is None:
            usual = None if role else self.default
            name = next((candidate for candidate in role if candidate in self.texts), usual)
        return self.texts.get(name, "") if name is not None else ""
