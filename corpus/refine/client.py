"""An OpenAI-compatible endpoint, asked with a bounded number of requests at once and with patience."""

import asyncio
import json
import os
import random
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

from corpus.refine.cache import Answer
from corpus.refine.prompts import PROMPT_VERSION, Messages

BACKOFF_S, MAX_BACKOFF_S = 1.0, 60.0  # the wait before a new try doubles from the first to the second
MAX_RETRY_AFTER_S = 600.0  # a server that asks for more has no quota left today
MAX_ANSWER_BYTES = 4_000_000  # no narrative is longer: whatever sends more is not a teacher
_MAX_QUOTED = 200  # characters of a server's own message in an error of ours
_TRANSIENT = {408, 409, 425, 429}  # and everything from 500 on


class TeacherError(ValueError):
    """The endpoint cannot be used, so the run ends. One line: got X, expected Y, do Z."""


class NoAnswerError(Exception):
    """One question stays without an answer; the others go on."""


@dataclass(frozen=True)
class Teacher:
    """A language model behind an OpenAI-compatible endpoint (POST base_url/chat/completions).

    Attributes:
        base_url: such as "http://localhost:8000/v1".
        model: its name there.
        api_key_env: the environment variable that holds the key; where it is not set, no key is sent.
        temperature: of sampling.
        max_tokens: longest answer, tokens.
        concurrency: most requests at once.
        timeout_s: a request that takes longer is given up, seconds.
        retries: new tries after a failed one.
        price_in: price of a million prompt tokens, in any currency.
        price_out: price of a million completion tokens, in the same one.

    Raises:
        ValueError: for values that cannot be.
    """

    base_url: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"
    temperature: float = 0.3
    max_tokens: int = 400
    concurrency: int = 8
    timeout_s: float = 60.0
    retries: int = 5
    price_in: float = 0.0
    price_out: float = 0.0

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(
                f"got base_url {self.base_url!r}, expected an address such as http://localhost:8000/v1; correct it"
            )
        least = {"max_tokens": 1, "concurrency": 1, "timeout_s": 1e-3, "retries": 0, "price_in": 0, "price_out": 0}
        for name, low in least.items():
            if not getattr(self, name) >= low:
                raise ValueError(f"got {name} {getattr(self, name)}, expected at least {low:g}; correct it")

    def body(self, messages: Messages) -> dict[str, Any]:
        """The JSON of one request."""
        return {
            "model": self.model,
            "messages": messages,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }

    def question(self, messages: Messages) -> dict[str, Any]:
        """All that decides an answer, for `content_key`."""
        return {"prompt_version": PROMPT_VERSION, **self.body(messages)}

    def cost(self, answer: Answer) -> float:
        """What an answer cost, in the currency of the prices."""
        return (answer.prompt_tokens * self.price_in + answer.completion_tokens * self.price_out) / 1e6


class _FailedTryError(Exception):
    """One request failed in a way that may pass."""

    def __init__(self, why: str, retry_after_s: float | None = None, hopeless: str = "") -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s
        self.hopeless = hopeless  # if it does not pass, no other question can be answered either: the advice to give


class TeacherClient:
    """An open connection to a teacher: `async with TeacherClient(teacher) as client: await client.ask(messages)`."""

    def __init__(self, teacher: Teacher) -> None:
        self.requests = 0
        self._teacher = teacher
        self._url = f"{teacher.base_url.rstrip('/')}/chat/completions"
        self._key = os.environ.get(teacher.api_key_env, "")
        self._resume_at = 0.0  # a server that asks for patience asks every worker
        self._session: Any = None

    async def __aenter__(self) -> "TeacherClient":
        try:
            import aiohttp
        except ImportError:
            raise ImportError(
                "got no aiohttp, expected it for requests to a teacher; run pip install 'neuronarrator[teacher]'"
            ) from None
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=aiohttp.ClientTimeout(total=self._teacher.timeout_s),
            connector=aiohttp.TCPConnector(limit=self._teacher.concurrency),
            trust_env=True,  # proxies
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, messages: Messages) -> Answer:
        """Ask one question until it is answered.

        Raises:
            NoAnswerError: if this question got no answer after all tries.
            TeacherError: if no question can get one: no connection, no permission, no such model, no quota.
        """
        tries = self._teacher.retries + 1
        for attempt in range(tries):
            await asyncio.sleep(self._resume_at - time.monotonic())
            try:
                return await self._try(messages)
            except _FailedTryError as failed:
                if attempt == tries - 1 or (failed.retry_after_s or 0) > MAX_RETRY_AFTER_S:
                    if failed.hopeless:
                        raise TeacherError(
                            f"got {failed} from {self._url} in {attempt + 1} tries, {failed.hopeless}"
                        ) from None
                    raise NoAnswerError(str(failed)) from None
                await self._wait(attempt, failed.retry_after_s)
        raise AssertionError("the last try returns or raises")

    async def _wait(self, attempt: int, retry_after_s: float | None) -> None:
        """Exponential backoff, counted from the time that the server names, if it does."""
        jitter = random.uniform(0.5, 1.0)  # so that workers that failed together do not come back together
        backoff_s = min(BACKOFF_S * 2**attempt, MAX_BACKOFF_S) * jitter
        if retry_after_s is not None:
            self._resume_at = max(self._resume_at, time.monotonic() + retry_after_s)
            backoff_s += retry_after_s
        await asyncio.sleep(backoff_s)

    async def _try(self, messages: Messages) -> Answer:
        import aiohttp

        self.requests += 1
        try:
            async with self._session.post(
                self._url, json=self._teacher.body(messages), allow_redirects=False
            ) as response:
                content = await _read(response)
        except TimeoutError:
            raise _FailedTryError(f"no answer within {self._teacher.timeout_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            why = f"no connection ({error.os_error.strerror or error.os_error})"
            raise _FailedTryError(why, hopeless="expected an endpoint: start it or correct base_url") from None
        except aiohttp.InvalidURL:
            raise TeacherError(f"got base_url {self._teacher.base_url!r}, expected an address; correct it") from None
        except aiohttp.ClientError as error:
            raise _FailedTryError(f"a broken connection ({type(error).__name__})") from None
        if response.status != 200:
            self._raise_status(response, content)
        return parse_completion(content)

    def _raise_status(self, response: Any, content: bytes) -> None:
        status = response.status
        message = " ".join(content.decode("utf-8", "replace").split())[:_MAX_QUOTED]
        if self._key:
            message = message.replace(self._key, "[key]")
        got = f"HTTP {status}" + (f" ({message})" if message else "")
        if status in _TRANSIENT or status >= 500:
            retry_after_s = parse_retry_after(response.headers.get("Retry-After", ""))
            hopeless = "expected room in its quota: lower concurrency or wait" if status == 429 else ""
            raise _FailedTryError(got, retry_after_s, hopeless)
        if status in (401, 402, 403):
            advice = f"expected to be let in: set the key in the environment variable {self._teacher.api_key_env}"
            raise TeacherError(f"got {got} from {self._url}, {advice}")
        if status < 400 or status in (404, 405):
            advice = f"expected chat completions of {self._teacher.model!r}: correct base_url or model"
            raise TeacherError(f"got {got} from {self._url}, {advice}")
        raise NoAnswerError(got)


def parse_completion(content: bytes) -> Answer:
    """The first choice of a chat completion; an answer without text (a refusal) is the empty text.

    Raises:
        _FailedTryError: if the bytes are no chat completion.
    """
    try:
        completion = json.loads(content)
        text = completion["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise _FailedTryError("a response that is no chat completion") from None
    if not isinstance(text, str | None):
        raise _FailedTryError("a response that is no chat completion")
    usage = completion.get("usage")
    counts = [usage.get(f"{kind}_tokens") if isinstance(usage, dict) else 0 for kind in ("prompt", "completion")]
    return Answer(text or "", *(count if isinstance(count, int) else 0 for count in counts))


def parse_retry_after(value: str) -> float | None:
    """Seconds that a Retry-After header asks for, in seconds or as a date (RFC 9110, 10.2.3); None without one."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - time.time()
    return max(seconds, 0.0) if seconds == seconds else None


async def _read(response: Any) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise _FailedTryError(f"a response of more than {MAX_ANSWER_BYTES} bytes")
    return bytes(content)
