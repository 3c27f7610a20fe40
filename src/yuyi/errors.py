"""Every error yuyi raises on purpose.

    YuyiError
    ├── InputError     what the user gave cannot be used: a file, a text, an option, a column
    │   └── TaskError  a task could not be scored; the error holds the results of the tasks before it
    ├── ModelError     a model folder is missing, damaged or of a kind that cannot be opened
    ├── RecipeError    a training recipe has an unknown key or an impossible value
    ├── WorkerError    processes that shared the encoding died; the message names the texts they held
    └── MissingExtra   an optional package is not installed; the message holds the pip line

Each message names the value, the cause and the remedy. The command line prints it on one line and exits
with code 2. Anything else that escapes is a bug in yuyi and exits with code 1. `YuyiWarning` is no error:
work goes on, and the message says what to expect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class YuyiError(Exception):
    """Something the user can mend; the message says how."""


class InputError(YuyiError, ValueError):
    """A file, text, option or column that cannot be used as given."""


class TaskError(InputError):
    """A task of an evaluation could not be scored.

    Attributes:
        finished: the results of the tasks before it.
    """

    def __init__(self, message: str, finished: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.finished = tuple(finished)


class ModelError(YuyiError):
    """A model folder that is missing, damaged or of an unknown kind."""


class RecipeError(YuyiError, ValueError):
    """A recipe that cannot be run as written."""


class WorkerError(YuyiError):
    """Processes that shared the encoding died, as for want of memory.

    Attributes:
        ranges: the first text and one past the last of each part that was lost, counted from 0.
        vectors: what `Encoder.encode` has, as it would have returned it, with NaN for what was lost; None
            where the vectors were given away before.
    """

    def __init__(self, message: str, ranges: tuple[tuple[int, int], ...] = ()) -> None:
        super().__init__(message)
        self.ranges = ranges
        self.vectors: Any = None


class MissingExtra(YuyiError, ImportError):
    """An optional package that is not installed."""


class YuyiWarning(UserWarning):
    """Something that was done otherwise than may be expected, such as a text that was cut; nothing failed."""
