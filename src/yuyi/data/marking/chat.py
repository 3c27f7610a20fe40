"""A client for any chat endpoint that speaks OpenAI's protocol: one request in, one answer out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from yuyi.server import Later

if TYPE_CHECKING:
    from yuyi.server import Server

_PATH = "/chat/completions"
# An endpoint that counts more for one request does not count.
_MOST_TOKENS = 10**9


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, and what it cost.

    Attributes:
        text: its message.
        tokens_in: tokens of the request, or -1 where the endpoint does not tell.
        tokens_out: tokens of the message, or -1.
    """

    text: str
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True)
class Chat:
    """A server's chat endpoint; `ask` may be called from several threads.

    Attributes:
        server: where it is.
        options: further fields of the request, such as `temperature`.
    """

    server: Server
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address that requests go to."""
        return self.server.url(_PATH)

    def ask(self, system: str, user: str) -> Answer:
        """The model's answer to a message.

        Raises:
            Refused: the endpoint will not answer this message.
            InputError: it does not answer at all, or knows neither the key nor the model.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        return self.server.ask(_PATH, {"messages": messages, **self.options}, _answer)


def _answer(body: bytes) -> Answer:
    try:
        answer = json.loads(body)
        text = answer["choices"][0]["message"]["content"]
        if text is not None and not isinstance(text, str):
            raise TypeError
        usage = answer.get("usage")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Later(f"no chat completion but {body[:80]!r}") from error
    counts = usage if isinstance(usage, dict) else {}
    return Answer(text or "", _tokens(counts.get("prompt_tokens")), _tokens(counts.get("completion_tokens")))


def _tokens(count: Any) -> int:
    return count if isinstance(count, int) and 0 <= count < _MOST_TOKENS else -1
