"""What stands around the code agrees with it: metadata, pinned versions, README, notebooks."""

import ast
import configparser
import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from neuronarrator.cli import TRAINER_COMMANDS, main
from neuronarrator.version import __version__

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("corpus", "encoders", "neuronarrator")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXTRAS = {"baselines", "ray", "serve", "teacher", "bids", "lora", "figures", "dev", "all"}
UNTESTED_EXTRAS = {"ray", "serve", "lora", "figures", "all"}  # not in the set of constraints.txt
README = (ROOT / "README.md").read_text("utf-8")


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def check_imports(source: str) -> None:
    """The source parses, and every name it imports exists."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")  # a submodule


def test_extras_exist() -> None:
    assert set(setup_cfg()["options.extras_require"]) == EXTRAS


def test_constraints_pin_what_setup_cfg_asks_for() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line and line[0] != "#"]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    config = setup_cfg()
    wanted = config["options"]["install_requires"].split("\n")
    for extra in EXTRAS - UNTESTED_EXTRAS:
        wanted += config["options.extras_require"][extra].split("\n")
    for requirement in map(Requirement, filter(None, wanted)):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is not pinned"
        assert requirement.specifier.contains(pins[name]), f"{name} is pinned below the bound of setup.cfg"


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert str(citation["version"]) == __version__
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_license_is_the_one_declared() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert setup_cfg()["metadata"]["license"] == "Apache-2.0"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["license"] == "Apache-2.0"


def test_readme_python_imports_what_exists() -> None:
    blocks = code_blocks("python")
    assert blocks
    for block in blocks:
        check_imports(block)


def test_readme_commands_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for block in code_blocks("sh") for line in block.splitlines() if line.startswith("neuronarrator ")]
    assert lines
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        if words[0] in TRAINER_COMMANDS:
            assert (ROOT / words[words.index("--config") + 1]).is_file(), line
        else:
            for command in ("_narrate", "_evaluate", "_simulate"):
                monkeypatch.setattr(f"neuronarrator.cli.{command}", lambda args: 0)
            for command in ("_build", "_datasets", "_refine", "_stats", "_show", "_audit"):
                monkeypatch.setattr(f"neuronarrator.commands.corpus.{command}", lambda args: 0)
            monkeypatch.setattr("neuronarrator.commands.ask._ask", lambda args: 0)
            assert main(words) == 0, line


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md"])
def test_documents_name_every_module(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    rooms = [path for package in PACKAGES for path in sorted((ROOT / package).iterdir())]
    modules = [p.name for p in rooms if p.suffix == ".py" and p.name != "__init__.py"]
    folders = [p.name + "/" for p in rooms if p.is_dir() and (p / "__init__.py").is_file()]
    assert [name for name in (*modules, *folders) if not re.search(rf"(?<![\w.]){re.escape(name)}", text)] == []


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_between_documents_lead_somewhere(document: str) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / document).read_text("utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stripped_and_parse(path: Path) -> None:
    notebook: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) >= (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
    source = "\n".join("".join(cell["source"]) for cell in code)
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert not any(isinstance(node, definitions) for node in ast.walk(ast.parse(source))), "move it into a package"
    check_imports(source)
