"""The cache of answers: whole files only, whatever happens to the process or the disk."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpus.findings import find_recording
from corpus.refine import Teacher, build_messages
from corpus.refine import prompts as prompts_module
from corpus.refine.cache import Answer, AnswerCache, content_key
from corpus.simulate import random_preset, simulate

ROOT = Path(__file__).resolve().parents[3]
KEY = content_key({"a": 1})


def test_answers_come_back_and_unknown_keys_do_not(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers" / "deep")
    answer = Answer('Delta, 3 µV².\n"\ud800"', 12, 3)
    assert cache.get(KEY) is None
    cache.put(KEY, answer)
    assert AnswerCache(tmp_path / "answers" / "deep").get(KEY) == answer
    assert cache.get(content_key({"a": 2})) is None


def test_the_key_follows_the_content_of_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_recording(simulate(random_preset(0, duration_s=20), 0).recording)
    first, second = (build_messages(item) for item in found)

    def key(messages: list[dict[str, str]] = first, base_url: str = "http://a/v1", **changes: float | str) -> str:
        return content_key(Teacher(base_url, **{"model": "m", **changes}).question(messages))  # type: ignore[arg-type]

    same = [key(), key(), key(base_url="http://b/v1"), key(concurrency=1), key(price_in=3.0), key(timeout_s=1.0)]
    assert len(set(same)) == 1
    others = [key(second), key(model="n"), key(temperature=0.0), key(max_tokens=100)]
    monkeypatch.setattr("corpus.refine.client.PROMPT_VERSION", f"{prompts_module.PROMPT_VERSION}+")
    assert len({key(), same[0], *others}) == 6


@pytest.mark.parametrize("content", [b"", b'{"text": "Del', b"\0" * 64, b"[]", b"null", b'{"prose": 1}', b"\xff"])
def test_a_damaged_file_counts_as_missing_and_is_written_again(content: bytes, tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.put(KEY, Answer("old"))
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(content)
    assert cache.get(KEY) is None
    cache.put(KEY, Answer("new"))
    assert cache.get(KEY) == Answer("new")


def test_a_full_disk_leaves_the_old_answer_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    cache = AnswerCache(tmp_path)
    cache.put(KEY, Answer("old"))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.put(KEY, Answer("new"))
    assert cache.get(KEY) == Answer("old")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


WRITER = """
import sys
from corpus.refine.cache import Answer, AnswerCache, content_key
cache, n = AnswerCache(sys.argv[1]), 0
while True:
    cache.put(content_key({"n": n}), Answer("Delta dominates. " * 2000, n, n))
    n += 1
    print(n, flush=True)
"""


def test_a_killed_writer_leaves_whole_answers_only(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    for delay in (0.0, 0.003, 0.01):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        acknowledged = max([1, *map(int, filter(str.isdigit, process.communicate()[0].split()))])
        cache = AnswerCache(tmp_path)
        for n in range(acknowledged):
            assert cache.get(content_key({"n": n})) == Answer("Delta dominates. " * 2000, n, n)
        for path in tmp_path.rglob("*.json"):
            assert cache.get(path.stem) is not None
