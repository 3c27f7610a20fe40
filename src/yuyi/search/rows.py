"""A folder as rows: the passages of its text and Markdown files, with where each one stands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError
from yuyi.search.passages import cut_file
from yuyi.text.decode import decode, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yuyi.search.scan import Scan


def read_passages(found: Scan, skip: Callable[[str], None]) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each passage the text to embed, which is the passage below its headings, and its row.

    A row holds `path` (of the file, as the user would write it), `line` (counted from 1), `heading`
    (outermost first, parted by " > ") and `text` (the passage alone).

    Args:
        found: the files.
        skip: called with a line for each file that cannot be read or is not text.
    """
    for line in found.unreadable:
        skip(line)
    for file in found.files:
        shown = os.fsencode(file.shown).decode(errors="backslashreplace")
        try:
            with reading(shown):
                text = decode(Path(file.path).read_bytes())
        except InputError as error:
            skip(str(error))
            continue
        for passage in cut_file(file.path, text):
            heading = " > ".join(passage.path)
            row = {"path": shown, "line": passage.line, "heading": heading, "text": passage.text}
            yield passage.in_context, row
