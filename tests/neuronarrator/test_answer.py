"""Questions about a recording: which segments are asked, and what the check says of the answers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from corpus.dataset import Batch
from corpus.findings import find_recording
from corpus.recording import Recording, RecordingError
from corpus.simulate import write_edf
from neuronarrator.answer import answer_question
from neuronarrator.cli import main
from neuronarrator.language.generation import Generation
from neuronarrator.narrate import load_for_model
from neuronarrator.narrator import Narrator


@pytest.fixture
def recording(simulated: Recording, tmp_path: Path) -> Recording:
    write_edf(simulated, tmp_path / "rec.edf")
    return load_for_model(tmp_path / "rec.edf")


@pytest.fixture
def talker(narrator: Narrator) -> Narrator:
    config = replace(narrator.config, instructions=("narrate", "ask"), max_new_tokens=6)
    asked = Narrator(config, narrator.tokenizer).eval()
    asked.load_state_dict(narrator.state_dict())
    return asked


def test_every_segment_is_asked_with_its_history(talker: Narrator, recording: Recording) -> None:
    found = find_recording(recording)
    answers = list(answer_question(talker, recording, "Which band?"))
    assert [(a.start_s, a.end_s) for a in answers] == [(10.0 * i, 10.0 * i + 10) for i in range(len(found))]
    (one,) = answer_question(talker, recording, "Which band?", at_s=25.0)
    assert one == answers[2]
    (first,) = talker.ask(found[0].segment, "Which band?")
    assert answers[0].text == first.text


def test_answers_are_checked_against_the_signal(
    talker: Narrator, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = [found.of("top_channel")[0].value for found in find_recording(recording)]
    other = "Cz" if top[1] != "Cz" else "Fz"
    said = [f"Yes. {top[0]} is the highest-energy channel.", f"{other} is the highest-energy channel.", "Perhaps."]

    asked: list[int] = []

    def ask(batch: Batch, question: str) -> Sequence[Generation]:
        asked.append(len(batch))
        return [Generation(text, (), ()) for text in (said + [""] * len(batch))[: len(batch)]]

    monkeypatch.setattr(talker, "ask", ask)
    verdicts = [answer.verdict for answer in answer_question(talker, recording, "Which electrode?")]
    assert verdicts[:3] == ["supported", "contradicted", "unverifiable"]
    (one,) = answer_question(talker, recording, "Which electrode?", at_s=0.0)
    assert (one.verdict, asked[-1]) == ("supported", 1)  # the others of its batch are not asked


def test_a_time_without_a_segment_is_named(talker: Narrator, recording: Recording) -> None:
    with pytest.raises(RecordingError, match="got no segment of ten seconds at 9000 s"):
        next(answer_question(talker, recording, "Which band?", at_s=9000.0))


def test_the_command_prints_and_writes_the_answers(
    talker: Narrator, recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    talker.save_pretrained(tmp_path / "talker")
    words = ["ask", str(tmp_path / "rec.edf"), "Which band?", "--at", "12", "--model", str(tmp_path / "talker")]
    assert main([*words, "--json", str(tmp_path / "out" / "answers.json")]) == 0
    assert capsys.readouterr().out.startswith("   10.0 - 20.0 s   ")
    assert '"question": "Which band?"' in (tmp_path / "out" / "answers.json").read_text()
