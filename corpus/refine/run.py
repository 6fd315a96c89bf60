"""Many segments to narratives: ask what is not cached, check every answer, write the rest offline, and report."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from corpus.describe import write_narrative
from corpus.findings import Findings
from corpus.refine.cache import Answer, AnswerCache, content_key
from corpus.refine.client import NoAnswerError, Teacher, TeacherClient, TeacherError
from corpus.refine.prompts import Messages, Visibility, build_messages, restrict
from corpus.refine.validate import check_answer

MAX_FAILURES_IN_A_ROW = 5  # segments without an answer, one after the other: then the endpoint is at fault, not they

Source = Literal["teacher", "repaired", "offline"]


@dataclass(frozen=True)
class RefineSummary:
    """What became of a run, to be reported beside its corpus.

    Attributes:
        segments: narratives returned.
        accepted: answers taken as they are.
        repaired: answers of which unsupported sentences were dropped.
        rejected: segments whose text the offline writer wrote, because the answer was unusable or there was none.
        reasons: how many segments each reason concerns, repaired and rejected together.
        cached: segments answered from the cache.
        requests: HTTP requests sent, repeated tries included.
        prompt_tokens: of the answers that this run received, as the endpoint counts them.
        completion_tokens: likewise.
        cost: of the answers that this run received, in the currency of the teacher's prices.
        cached_cost: what the cached answers cost when they were received.
    """

    segments: int
    accepted: int
    repaired: int
    rejected: int
    reasons: dict[str, int]
    cached: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    cached_cost: float

    @property
    def repair_rate(self) -> float:
        """Share of the segments whose answer was repaired."""
        return self.repaired / max(self.segments, 1)

    @property
    def rejection_rate(self) -> float:
        """Share of the segments whose text the offline writer wrote."""
        return self.rejected / max(self.segments, 1)


@dataclass(frozen=True)
class RefineResult:
    """Narratives in the order of the findings, who wrote each, and the summary."""

    texts: tuple[str, ...]
    sources: tuple[Source, ...]
    summary: RefineSummary


def refine(
    findings: Sequence[Findings],
    teacher: Teacher,
    cache_dir: str | Path,
    label_visibility: Visibility = "none",
    on_progress: Callable[[int, int], None] | None = None,
) -> RefineResult:
    """Let a teacher write the narrative of each segment from its template (NeuroNarrator, Sec. 3.2.3).

    Every answer is stored in `cache_dir` the moment it arrives, so a run that was killed, or that ended with an error,
    goes on where it stopped; the same content is never asked twice. Answers are checked on each run anew.

    Args:
        findings: of the segments.
        teacher: the endpoint and its parameters.
        cache_dir: folder of the answers; runs with other models or prompts can share it.
        label_visibility: what the prompts and the texts may contain: no labels, age and sex, or all.
        on_progress: called with the number of segments done and of all segments.

    Returns:
        One narrative a segment. Where the teacher gave none that the findings support, the offline writer's.

    Raises:
        TeacherError: if the endpoint cannot be reached or used; what was answered before stays in the cache.
        ImportError: if aiohttp is missing.
    """
    shown = [restrict(item, label_visibility) for item in findings]
    messages = [build_messages(item, label_visibility) for item in shown]
    keys = [content_key(teacher.question(item)) for item in messages]
    asking = Asking(teacher, AnswerCache(cache_dir), Counter(keys), on_progress)
    run_asking(asking, dict(zip(keys, messages, strict=True)))
    checked = [_check(item, key, asking) for item, key in zip(shown, keys, strict=True)]
    texts, sources, problems = zip(*checked, strict=True) if checked else ((), (), ())
    return RefineResult(texts, sources, _summarise(asking, sources, problems))


class Asking:
    """The answers of one run: those of the cache and those that the teacher still has to give."""

    def __init__(
        self,
        teacher: Teacher,
        cache: AnswerCache,
        segments_of: Counter[str],
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self.teacher = teacher
        self.cached: dict[str, Answer] = {}
        self.received: dict[str, Answer] = {}
        self.failed: dict[str, str] = {}
        self.requests = 0
        self._cache = cache
        self.segments_of = segments_of
        self._on_progress = on_progress
        self._in_a_row = 0
        self._done = 0

    def answer(self, key: str) -> Answer | None:
        """The answer to a question, or None where there was none."""
        return self.cached.get(key) or self.received.get(key)

    async def ask_all(self, questions: dict[str, Messages]) -> None:
        """Ask every question, by content key, that the cache does not answer."""
        found = {key: self._cache.get(key) for key in questions}
        self.cached = {key: answer for key, answer in found.items() if answer is not None}
        self._report(*self.cached)
        pending = [(key, messages) for key, messages in questions.items() if key not in self.cached]
        if not pending:
            return
        queue = iter(pending)
        async with TeacherClient(self.teacher) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self.teacher.concurrency, len(pending))):
                        group.create_task(self._work(client, queue))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
            self.requests = client.requests
        if not self.cached and not self.received:
            self._give_up(next(iter(self.failed.values())))

    async def _work(self, client: TeacherClient, queue: Iterator[tuple[str, Messages]]) -> None:
        for key, messages in queue:
            try:
                answer = await client.ask(messages)
            except NoAnswerError as error:
                self.failed[key] = str(error)
                self._in_a_row += 1
                if self._in_a_row == MAX_FAILURES_IN_A_ROW:
                    self._give_up(str(error))
            else:
                self._cache.put(key, answer)
                self.received[key] = answer
                self._in_a_row = 0
            self._report(key)

    def _give_up(self, why: str) -> None:
        raise TeacherError(
            f"got {why} from {self.teacher.base_url} for {self._in_a_row} segments and no answer between them, "
            "expected chat completions: see to the endpoint and run again, what was answered is kept"
        )

    def _report(self, *keys: str) -> None:
        self._done += sum(self.segments_of[key] for key in keys)
        if self._on_progress is not None:
            self._on_progress(self._done, self.segments_of.total())


def run_asking(asking: Asking, questions: dict[str, Messages]) -> None:
    """Run the event loop, in a thread of its own where one is already running (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(asking.ask_all(questions))
    else:
        with ThreadPoolExecutor(1) as executor:
            executor.submit(lambda: asyncio.run(asking.ask_all(questions))).result()


def _check(findings: Findings, key: str, asking: Asking) -> tuple[str, Source, tuple[str, ...]]:
    """The narrative of one segment, who wrote it, and what was wrong with the teacher's."""
    answer = asking.answer(key)
    if answer is None:
        return _offline(findings, key), "offline", ("no answer",)
    checked = check_answer(answer.text, findings)
    if checked.text is None:
        return _offline(findings, key), "offline", checked.problems
    return checked.text, "repaired" if checked.problems else "teacher", checked.problems


def _offline(findings: Findings, key: str) -> str:
    return write_narrative(findings, seed=int(key[:8], 16))  # the wording varies, and is the same on every run


def _summarise(asking: Asking, sources: Sequence[Source], problems: Sequence[Sequence[str]]) -> RefineSummary:
    by_source, received = Counter(sources), asking.received.values()
    return RefineSummary(
        segments=len(sources),
        accepted=by_source["teacher"],
        repaired=by_source["repaired"],
        rejected=by_source["offline"],
        reasons=dict(Counter(reason for found in problems for reason in found).most_common()),
        cached=sum(asking.segments_of[key] for key in asking.cached),
        requests=asking.requests,
        prompt_tokens=sum(answer.prompt_tokens for answer in received),
        completion_tokens=sum(answer.completion_tokens for answer in received),
        cost=sum(map(asking.teacher.cost, received)),
        cached_cost=sum(map(asking.teacher.cost, asking.cached.values())),
    )
