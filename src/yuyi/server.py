"""A server that takes and gives JSON, as those that speak OpenAI's protocol; faults that pass are sat out."""

from __future__ import annotations

import email.utils
import http.client
import json
import os
import random
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

# These say that the same request may succeed later.
_TRY_AGAIN = (408, 409, 425, 429)
# These say that the endpoint will not answer this text, whatever it answers to others.
_REFUSED = (400, 413, 422)
_LONGEST_WAIT = 60.0
_LONGEST_MESSAGE = 300


class Refused(Exception):
    """The server answers, but not to this: too long for it, or against its rules."""


class Later(Exception):
    """A fault that may pass.

    Attributes:
        wait: seconds that the server asks to wait, or None.
        unheard: whether nothing listens at the address, or there is no such host.
    """

    def __init__(self, message: str, wait: float | None = None, *, unheard: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.unheard = unheard


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An address and a model there; `ask` may be called from several threads.

    Attributes:
        base_url: address that the path of a request follows, such as `http://localhost:8000/v1`.
        model: name of the model there.
        key_variable: environment variable that holds the key. It may be unset for servers that want none.
        timeout: seconds without a byte after which a request counts as failed.
        retries: how often a request is sent again after a fault that may pass.
        wait: seconds before the first of them, doubled before each further one, at most a minute; where the
            server says how long to wait, that long.
        pause: waits so many seconds; where it returns true, nothing is tried again.
        keeps: whether answers are kept by who asks, so that the error of a server that falls silent says so.

    Raises:
        InputError: `base_url` is no web address.
    """

    base_url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 120.0
    retries: int = 6
    wait: float = 1.0
    pause: Callable[[float], object] = time.sleep
    keeps: bool = True

    def __post_init__(self) -> None:
        """Refuse an address that no request could go to."""
        if not _is_address(self.base_url):
            raise InputError(
                f"{self.base_url}: no web address. Give one that begins with http, such as "
                "http://localhost:8000/v1."
            )

    def url(self, path: str) -> str:
        """The address that requests to `path` go to."""
        return self.base_url.rstrip("/") + path

    def ask(
        self, path: str, body: dict[str, Any], read: Callable[[bytes], Answer], *, first: bool = False
    ) -> Answer:
        """What `read` makes of the answer to a request.

        Args:
            path: what follows the server's address, such as `/embeddings`.
            body: the request; the model's name is added.
            read: makes sense of an answer; raises `Later` where it has none, and the request is sent again.
            first: whether nothing was answered before. An address where nothing listens is then tried only
                twice, for it is likely to be wrong.

        Raises:
            Refused: the server will not answer this request.
            InputError: it does not answer at all, or knows neither the key nor the model.
        """
        request = self._request(path, body)
        for tries in range(self.retries + 1):
            try:
                return read(self._send(request))
            except Later as fault:
                # Some chance, so that requests that failed together do not come back together.
                seconds = self.wait * 2**tries * random.uniform(0.75, 1.25)
                seconds = min(seconds if fault.wait is None else fault.wait, _LONGEST_WAIT)
                most = min(1, self.retries) if first and fault.unheard else self.retries
                if tries >= most or self.pause(seconds):
                    kept = "What was answered before is kept. " if self.keeps and not first else ""
                    raise InputError(
                        f"{request.full_url}: no answer in {tries + 1} {'try' if tries == 0 else 'tries'}, "
                        f"at last: {fault}. {kept}Run the same command again when the server is well."
                    ) from fault
        raise AssertionError  # The last try returned or raised.

    def _send(self, request: urllib.request.Request) -> bytes:
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                answer: bytes = response.read()
                return answer
        except urllib.error.HTTPError as error:
            raise self._fault(request.full_url, error) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", "")
            unheard = isinstance(reason, ConnectionRefusedError | socket.gaierror)
            raise Later(str(reason) or str(error) or type(error).__name__, unheard=unheard) from error

    def _request(self, path: str, body: dict[str, Any]) -> urllib.request.Request:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.key_variable, "").strip():
            if not (key.isascii() and key.isprintable()):  # The message must not show it.
                raise InputError(
                    f"{self.key_variable}: this environment variable holds what no key can: letters outside "
                    "ASCII, or a line end within. Copy the key anew."
                )
            headers["Authorization"] = f"Bearer {key}"
        return urllib.request.Request(
            self.url(path), json.dumps({"model": self.model, **body}).encode(), headers
        )

    def _fault(self, url: str, error: urllib.error.HTTPError) -> Exception:
        """What an answer that is no success means."""
        message = f"{error.code} {error.reason}: {_message(error)}"
        if error.code in _TRY_AGAIN or error.code >= 500:
            return Later(message, _seconds(error.headers.get("Retry-After")))
        if error.code in _REFUSED:
            return Refused(message)
        return InputError(
            f"{url}: {message}. Check the address, the model ({self.model}) and the key in the environment "
            f"variable {self.key_variable}."
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - an impossible one raises.
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _message(error: urllib.error.HTTPError) -> str:
    try:
        body = error.read(100_000)
    except (OSError, http.client.HTTPException):
        return ""
    try:
        said = json.loads(body)["error"]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        said = body.decode("utf-8", "replace")
    return " ".join(str(said).split())[:_LONGEST_MESSAGE]


def _seconds(header: str | None) -> float | None:
    """How long a `Retry-After` asks to wait: it holds seconds or a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
