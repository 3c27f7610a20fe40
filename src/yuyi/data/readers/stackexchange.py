"""Stack Exchange dumps: each question with its answers, comments and duplicates as one document.

The rows of a dump come in any order and may be many times larger than memory, so they are put into an SQLite
file in the folder for temporary files first (`TMPDIR`), about as large as the dump, and joined there.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.data.readers.html import fragment_to_markdown
from yuyi.data.readers.threads import Thread
from yuyi.data.readers.xml import stream_xml
from yuyi.errors import InputError, YuyiError
from yuyi.text.decode import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yuyi.records import Document

    Row = tuple[int | str | None, ...]
    _Place = Callable[[dict[str, str]], tuple[str, Row] | None]

_QUESTION, _ANSWER, _DUPLICATE = "1", "2", "3"
_TAG = re.compile(r"[^<>|\s]+")
_TABLES = """
CREATE TABLE questions (
    id INTEGER PRIMARY KEY, title TEXT, body TEXT, tags TEXT, score INTEGER, accepted INTEGER
);
CREATE TABLE answers (id INTEGER PRIMARY KEY, question INTEGER, body TEXT, score INTEGER);
CREATE TABLE comments (id INTEGER PRIMARY KEY, post INTEGER, body TEXT, score INTEGER);
CREATE TABLE duplicates (id INTEGER PRIMARY KEY, question INTEGER, original INTEGER);
"""
_INDICES = """
CREATE INDEX of_question ON answers (question);
CREATE INDEX of_post ON comments (post);
CREATE INDEX of_original ON duplicates (original);
"""


class _Rows:
    """The attributes of each `<row>` of a file, as they come."""

    def __init__(self) -> None:
        self.found: list[dict[str, str]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self.found.append(attributes)

    def end(self, name: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


def read_stackexchange(path: Path, source: str, *, partly: bool = False) -> Iterator[Document]:
    """Each question of a dump as a document: its body, its answers, best first, comments and duplicates.

    The accepted answer comes first, the others by score; each post is followed by the comments on it. Titles
    of questions that were closed as duplicates of this one follow, then the tags, as `keywords`. Posts with a
    negative score are kept. Documents come by the number of their question.

    Args:
        path: `Posts.xml`, or a folder with it and perhaps `Comments.xml` and `PostLinks.xml`.
        source: the name that the documents' collection gets.
        partly: whether of a damaged dump what can be read comes before the error.

    Raises:
        InputError: a file is missing, cut off or no such dump.
        YuyiError: there is no room for temporary files.
    """
    with tempfile.TemporaryDirectory(prefix="yuyi-") as temporary:
        try:
            with closing(sqlite3.connect(Path(temporary) / "posts.sqlite")) as database:
                damage = _fill(database, path)
                if damage is None or partly:
                    yield from _threads(database, source)
                if damage is not None:
                    raise damage
        except sqlite3.OperationalError as error:
            raise YuyiError(
                f"{path}: its rows cannot be joined in {Path(temporary).parent} ({error}). "
                "Set TMPDIR to a folder with as much room as the dump takes."
            ) from error


def _fill(database: sqlite3.Connection, path: Path) -> InputError | None:
    """Put the rows of a dump into tables; what is returned is wrong with its files."""
    # The file is thrown away after use, so nothing need be kept safe.
    database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;")
    database.executescript(_TABLES)
    damage = None
    for root, file in dump_files(path).items():
        try:
            for rows in _rows(file, root):
                _insert(database, rows, file, _PLACES[root])
        except InputError as error:
            damage = damage or error
    database.executescript(_INDICES)
    return damage


def _insert(database: sqlite3.Connection, rows: list[dict[str, str]], file: Path, place: _Place) -> None:
    placed: dict[str, list[Row]] = {}
    for row in rows:
        try:
            where = place(row)
        except (KeyError, ValueError) as error:
            shown = ", ".join(f'{name}="{value[:40]}"' for name, value in row.items())
            raise InputError(
                f"{file}: a row has no number where one is needed ({error}): {shown}. Mend it."
            ) from error
        if where is not None:
            placed.setdefault(where[0], []).append(where[1])
    for table, values in placed.items():
        marks = ", ".join("?" * len(values[0]))
        try:
            database.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", values)
        except OverflowError as error:
            raise InputError(f"{file}: a row has a number beyond 64 bits. Mend it.") from error


def dump_files(path: Path) -> dict[str, Path]:
    """The files of a dump that are read, each by the name of its root element.

    Args:
        path: their folder, or the posts alone.

    Raises:
        InputError: the folder cannot be read or holds no posts.
    """
    if not path.is_dir():
        return {"posts": path}
    with reading(path):
        names = {file.name.lower(): file for file in path.iterdir()}
    if "posts.xml" not in names:
        raise InputError(f"{path}: holds no Posts.xml. Name a folder with an unpacked Stack Exchange dump.")
    return {root: names[f"{root}.xml"] for root in _PLACES if f"{root}.xml" in names}


def _rows(file: Path, root: str) -> Iterator[list[dict[str, str]]]:
    elements = _Rows()
    for _ in stream_xml(file, root, elements):
        yield elements.found
        elements.found = []


def _post(row: dict[str, str]) -> tuple[str, Row] | None:
    number, score, body = int(row["Id"]), int(row.get("Score") or 0), row.get("Body", "")
    if row.get("PostTypeId") == _QUESTION:
        accepted = int(row.get("AcceptedAnswerId") or 0)
        return "questions", (number, row.get("Title", ""), body, row.get("Tags", ""), score, accepted)
    if row.get("PostTypeId") == _ANSWER and row.get("ParentId"):
        return "answers", (number, int(row["ParentId"]), body, score)
    return None


def _comment(row: dict[str, str]) -> tuple[str, Row]:
    number = int(row["Id"])
    return "comments", (number, int(row["PostId"]), row.get("Text", ""), int(row.get("Score") or 0))


def _link(row: dict[str, str]) -> tuple[str, Row] | None:
    if row.get("LinkTypeId") != _DUPLICATE:
        return None
    return "duplicates", (int(row["Id"]), int(row["PostId"]), int(row["RelatedPostId"]))


# What puts the rows of each file into tables.
_PLACES: dict[str, _Place] = {"posts": _post, "comments": _comment, "postlinks": _link}


def _threads(database: sqlite3.Connection, source: str) -> Iterator[Document]:
    questions = database.execute("SELECT id, title, body, tags, score, accepted FROM questions ORDER BY id")
    for number, title, body, tags, score, accepted in questions:
        thread = Thread(title)
        # Dumps hold questions whose body was removed; the title is then all that was asked.
        question = thread.add("question", fragment_to_markdown(body) or title, score=score)
        _add_comments(database, thread, number, question)
        answers = database.execute(
            "SELECT id, body, score FROM answers WHERE question = ? ORDER BY id = ? DESC, score DESC, id",
            (number, accepted),
        )
        for each, said, votes in answers:
            answer = thread.add("answer", fragment_to_markdown(said), score=votes, of=question)
            if answer >= 0:
                _add_comments(database, thread, each, answer)
        duplicates = database.execute(
            "SELECT DISTINCT questions.title FROM duplicates JOIN questions ON questions.id = question "
            "WHERE original = ? ORDER BY questions.id",
            (number,),
        )
        for (other,) in duplicates:
            thread.add("duplicate", other, of=question)
        thread.add("keywords", ", ".join(_TAG.findall(tags)), of=question)
        document = thread.document(source, str(number))
        if document is not None:
            yield document


def _add_comments(database: sqlite3.Connection, thread: Thread, post: int, part: int) -> None:
    found = database.execute("SELECT body, score FROM comments WHERE post = ? ORDER BY id", (post,))
    for said, score in found:
        thread.add("comment", said, score=score, of=part)
