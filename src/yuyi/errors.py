"""Every error yuyi raises on purpose.

    YuyiError
    ├── InputError     what the user gave cannot be used: a file, a text, an option, a column
    ├── ModelError     a model folder is missing, damaged or of a kind that cannot be opened
    ├── RecipeError    a training recipe has an unknown key or an impossible value
    └── MissingExtra   an optional package is not installed; the message holds the pip line

Each message names the value, the cause and the remedy. The command line prints it on one line and exits
with code 2. Anything else that escapes is a bug in yuyi and exits with code 1.
"""

from __future__ import annotations


class YuyiError(Exception):
    """Something the user can mend; the message says how."""


class InputError(YuyiError, ValueError):
    """A file, text, option or column that cannot be used as given."""


class ModelError(YuyiError):
    """A model folder that is missing, damaged or of an unknown kind."""


class RecipeError(YuyiError, ValueError):
    """A recipe that cannot be run as written."""


class MissingExtra(YuyiError, ImportError):
    """An optional package that is not installed."""
