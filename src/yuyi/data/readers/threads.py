"""Threads: a question with answers and comments, as one document whose parts say who speaks.

Forums and chats are saved as JSON, an object a line, under many names. What a key means is looked up in one
table, in English and Chinese; bodies may be Markdown, plain text or HTML.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

from yuyi.data.readers.posts import close_code, post_to_markdown
from yuyi.data.readers.text_files import first_language
from yuyi.errors import InputError
from yuyi.records import Document, Part
from yuyi.text.rows import read_objects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from yuyi.records import Role

# What stands between two parts: a ruler, which no list, quote or heading of the part before reaches across.
_BETWEEN = "\n\n---\n\n"

_KEYS: dict[str, tuple[str, ...]] = {
    "id": ("id", "thread_id", "question_id", "post_id", "qid", "tid", "url", "编号"),
    "title": ("title", "subject", "topic", "标题", "主题"),
    "question": ("question", "query", "问题", "提问"),
    "post": (
        "body", "post", "content", "text", "selftext", "description", "desc", "detail", "正文", "内容",
        "描述", "帖子", "主贴",
    ),
    "said": (
        "text", "body", "content", "answer", "comment", "reply", "message", "value", "title", "question",
        "正文", "内容", "回答", "答案", "评论", "回复", "标题", "问题",
    ),
    "best": ("best_answer", "accepted_answer", "最佳答案", "最佳回答"),
    "answers": ("answers", "answer", "responses", "response", "回答", "答案"),
    "comments": ("comments", "comment", "replies", "reply", "评论", "回复", "跟帖"),
    "messages": ("messages", "conversations", "conversation", "dialogue", "对话", "消息"),
    "tags": ("tags", "keywords", "labels", "标签", "关键词"),
    "score": ("score", "votes", "upvotes", "likes", "ups", "赞", "点赞", "点赞数", "得分", "票数"),
    "accepted": ("accepted", "is_accepted", "best", "采纳", "已采纳", "最佳"),
    "duplicates": ("duplicates", "duplicate_of", "similar_questions", "重复问题", "相似问题"),
    "speaker": ("role", "from", "speaker", "角色"),
}  # fmt: skip
_LONGEST_TITLE = 200
# Objects that are looked at; a thread may come first that nobody answered.
_LOOK = 100
_ASKING = frozenset(("user", "human", "prompter", "client", "用户", "提问者"))
_ANSWERING = frozenset(("assistant", "gpt", "bot", "model", "chatgpt", "助手", "回答者"))


class Thread:
    """The text of a thread while its parts are added, each with its place in it.

    Args:
        title: what the thread is about.
    """

    def __init__(self, title: str) -> None:
        self.title = " ".join(title.split())
        self._pieces: list[str] = []
        self._size = 0
        self._parts: list[Part] = []

    def add(self, role: Role, text: str, *, score: float | None = None, of: int = -1) -> int:
        """The number of the new part; without text there is none, and the number is -1.

        Code that the text leaves open is closed, so that it does not reach into the next part.
        """
        text = close_code(text.strip())
        if not text:
            return -1
        if self._pieces:
            self._pieces.append(_BETWEEN)
            self._size += len(_BETWEEN)
        self._pieces.append(text)
        self._parts.append(Part(role, self._size, self._size + len(text), score, of))
        self._size += len(text)
        return len(self._parts) - 1

    def document(self, source: str, doc_id: str) -> Document | None:
        """The whole thread, or None where nobody said anything."""
        text = "".join(self._pieces)
        if not text:
            return None
        lang = first_language(f"{self.title} {text}")
        return Document(source, doc_id, self.title, text, lang, tuple(self._parts))


def holds_threads(path: Path) -> bool:
    """Whether one of the first hundred objects of a JSONL file has answers, comments or messages as objects.

    Raises:
        InputError: the file is missing or no text, or a line is no JSON object.
    """
    return any(
        isinstance(said := row.get(key), list) and any(isinstance(one, dict) for one in said)
        for _, row in islice(read_objects(path), _LOOK)
        for meaning in ("answers", "comments", "messages")
        for key in _KEYS[meaning]
    )


def read_threads(path: Path, *, name: str, source: str) -> Iterator[Document]:
    """Each thread of a JSONL file as a document: the question, its answers, best first, and comments.

    An object may be a question with `answers` and `comments`, a `post` with `replies`, or a conversation in
    `messages`; other usual names of these and Chinese ones are known. Answers and comments are texts or
    objects with a text, a score and comments of their own. A title is the question's first line where none is
    given. Objects that hold no text are passed over.

    Args:
        path: the file, an object a line.
        name: what the file is called in `doc_id`, which is `name#line` unless a key says otherwise.
        source: the name that the documents' collection gets.

    Raises:
        InputError: the file cannot be read, or a line is no object or holds nothing of a thread; the message
            names the line.
    """
    for number, thing in read_objects(path):
        where = f"{path}: line {number}"
        doc_id = str(_value(thing, "id") or f"{name}#{number}")
        found = _thread(thing, where).document(source, doc_id)
        if found is not None:
            yield found


def _value(thing: dict[str, Any], meaning: str) -> Any:
    """What stands under the first of the keys of that meaning that holds anything."""
    return next((thing[key] for key in _KEYS[meaning] if thing.get(key) not in (None, "", [], {})), None)


def _thread(thing: dict[str, Any], where: str) -> Thread:
    messages = _value(thing, "messages")
    if messages is not None:
        return _conversation(thing, messages, where)
    for meaning in ("question", "post"):
        if isinstance(inner := _value(thing, meaning), dict):
            thing = {**thing, **inner}
    title, question, post = (_said(_value(thing, meaning)) for meaning in ("title", "question", "post"))
    if not (title or question or post):
        raise InputError(
            f"{where}: has no title, question, post or messages; its keys are {', '.join(thing) or 'none'}. "
            "Rename them, or read the file as JSONL with named columns."
        )
    title = title or (question if post else "")
    asked = post or question or title
    thread = Thread(title or _first_line(asked))
    first = thread.add("question", asked, score=_score(thing))
    _add_answers(thread, thing, first)
    _add_comments(thread, _listed(_value(thing, "comments")), first)
    for other in _listed(_value(thing, "duplicates")):
        thread.add("duplicate", _said(other), of=first)
    tags = [said for tag in _listed(_value(thing, "tags")) if (said := _said(tag))]
    thread.add("keywords", ", ".join(tags), of=first)
    return thread


def _add_answers(thread: Thread, thing: dict[str, Any], question: int) -> None:
    best, answers = _listed(_value(thing, "best")), _listed(_value(thing, "answers"))
    answers = [*best, *(answer for answer in answers if answer not in best)]
    for answer in sorted(answers, key=lambda answer: (answer not in best, *_rank(answer))):
        number = thread.add("answer", _said(answer), score=_score(answer), of=question)
        if number >= 0:
            _add_comments(thread, _replies(answer), number)


def _rank(answer: Any) -> tuple[bool, float]:
    """Sorts the accepted answer first, then by score, highest first."""
    accepted = isinstance(answer, dict) and _value(answer, "accepted")
    return not accepted, -(_score(answer) or 0.0)


def _add_comments(thread: Thread, comments: list[Any], of: int) -> None:
    """The comments on a part, each followed by the replies to it."""
    waiting = [(comment, of) for comment in reversed(comments)]
    while waiting:
        comment, parent = waiting.pop()
        number = thread.add("comment", _said(comment), score=_score(comment), of=parent)
        if number >= 0:
            waiting += [(reply, number) for reply in reversed(_replies(comment))]


def _replies(post: Any) -> list[Any]:
    """What stands below an answer or comment, which may itself be called a comment or reply."""
    if not isinstance(post, dict):
        return []
    own = _said_key(post)
    return _listed(_value({key: value for key, value in post.items() if key != own}, "comments"))


def _conversation(thing: dict[str, Any], messages: Any, where: str) -> Thread:
    spoken = [message for message in _listed(messages) if isinstance(message, dict)]
    if not spoken or not any(_value(message, "speaker") for message in spoken):
        raise InputError(
            f'{where}: no message says who speaks. Write messages as {{"role": "user", "content": "..."}}.'
        )
    speakers = [str(_value(message, "speaker")).lower() for message in spoken]
    first = next((_said(one) for one, who in zip(spoken, speakers, strict=True) if who in _ASKING), "")
    thread = Thread(_said(_value(thing, "title")) or _first_line(first))
    question = -1
    for message, who in zip(spoken, speakers, strict=True):
        if who in _ASKING:
            number = thread.add("question", _said(message), score=_score(message))
            question = number if number >= 0 else question
        elif who in _ANSWERING:
            thread.add("answer", _said(message), score=_score(message), of=question)
    return thread


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _said_key(thing: dict[str, Any]) -> str | None:
    return next((key for key in _KEYS["said"] if thing.get(key) and isinstance(thing[key], str)), None)


def _said(value: Any) -> str:
    """The Markdown of a text, or of what an object says; the empty string for anything else."""
    if isinstance(value, dict):
        key = _said_key(value)
        value = value[key] if key else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return ""
    return post_to_markdown(value).strip()


def _score(value: Any) -> float | None:
    score = _value(value, "score") if isinstance(value, dict) else None
    if not isinstance(score, (int, float, str)) or isinstance(score, bool):
        return None
    try:
        number = float(score)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _first_line(text: str) -> str:
    line = text.split("\n", 1)[0].lstrip("#> ")
    return line[:_LONGEST_TITLE]
