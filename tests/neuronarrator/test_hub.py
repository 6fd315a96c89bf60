from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import RepositoryNotFoundError

from neuronarrator import hub
from neuronarrator.narrator import Narrator


class FakeApi:
    """Notes what it is asked for; keeps a copy of the files it is sent."""

    def __init__(self) -> None:
        self.repos: list[tuple[str, bool, bool]] = []
        self.files: dict[str, bytes] = {}

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        self.repos.append((repo_id, private, exist_ok))

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
        assert self.repos[-1][0] == repo_id  # there before anything is sent
        self.files = {p.name: p.read_bytes() for p in folder_path.iterdir()}


def test_what_is_pushed_is_a_model_that_loads_with_a_card(narrator: Narrator, tmp_path: Path) -> None:
    api = FakeApi()
    assert narrator.push_to_hub("lab/eeg", private=True, api=api) == "https://huggingface.co/lab/eeg"
    assert api.repos == [("lab/eeg", True, True)]
    for name, content in api.files.items():
        (tmp_path / name).write_bytes(content)
    loaded = Narrator.from_pretrained(tmp_path)
    assert loaded.card["description"] == narrator.card["description"]
    card = api.files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: neuronarrator\n")
    assert "None recorded." in card
    assert loaded.model_card == card


def test_a_card_written_by_hand_is_kept_and_travels(narrator: Narrator, tmp_path: Path) -> None:
    narrator.save_pretrained(tmp_path / "a")
    (tmp_path / "a" / "README.md").write_text("# Ours\nTested on nobody.\n")
    narrator.save_pretrained(tmp_path / "a")
    assert (tmp_path / "a" / "README.md").read_text() == "# Ours\nTested on nobody.\n"
    api = FakeApi()
    Narrator.from_pretrained(tmp_path / "a").push_to_hub("lab/eeg", api=api)
    assert api.files["README.md"] == b"# Ours\nTested on nobody.\n"


def test_a_card_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    hub.write_card(tmp_path, hub.model_card("a", "First", {"Training": {"steps": 1}}))
    hub.write_card(tmp_path, hub.model_card("a", "Second", {"Training": {"steps": 2}}))
    assert "- steps: 2" in (tmp_path / "README.md").read_text()


def test_a_name_of_the_hub_is_downloaded(narrator: Narrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrator.save_pretrained(tmp_path / "cache")
    asked: list[str] = []

    def download(repo_id: str) -> str:
        asked.append(repo_id)
        return str(tmp_path / "cache")

    monkeypatch.setattr(hub, "snapshot_download", download)
    monkeypatch.chdir(tmp_path)
    assert Narrator.from_pretrained("lab/eeg").card["description"] == narrator.card["description"]
    assert asked == ["lab/eeg"]


@pytest.mark.parametrize("name", ["nope", "a/b/c", "lab/eeg"])
def test_a_model_that_is_nowhere_is_one_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(repo_id: str) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(hub, "snapshot_download", download)
    with pytest.raises(FileNotFoundError, match=f"got model '{name}', expected one of"):
        hub.find_model(name)


def test_a_missing_repository_is_an_os_error() -> None:
    assert issubclass(RepositoryNotFoundError, OSError)  # so `find_model` turns it into its own


@pytest.mark.parametrize("name", ["runs/x", "runs/missing"])
def test_a_path_below_a_local_folder_is_never_looked_up(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "snapshot_download", lambda _: pytest.fail("asked the hub"))
    (tmp_path / "runs" / "x").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"got model '{name}'"):
        hub.find_model(name)
