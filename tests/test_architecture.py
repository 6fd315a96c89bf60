"""The house rules of ARCHITECTURE.md: who imports whom, how long a file gets, and experiments that name real things."""

import ast
import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("corpus", "encoders", "neuronarrator")
CODE = sorted(path for folder in (*PACKAGES, "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
EXPERIMENTS = sorted(path for path in (ROOT / "experiments").rglob("*.yaml") if path.parent.name != "compare")
MAX_FILE_LINES, MAX_FUNCTION_LINES = 450, 60

FORBIDDEN = {  # package -> what none of its modules may import, not even inside a function
    "corpus": {"encoders", "neuronarrator", "lightning", "pytorch_lightning", "transformers", "open_clip", "timm"},
    "encoders": {"corpus", "neuronarrator", "lightning", "pytorch_lightning", "transformers", "mne"},
}
NEVER = {"tests", "notebooks"}
ORDER = (  # of the modules of corpus: each may import those before it
    "recording", "datasets", "chains", "scale", "montage", "preprocess", "segment", "spans", "areas", "bands",
    "spectra", "features", "artifacts", "artifacts_full", "waveforms", "findings", "patterns", "background", "describe",
    "claims", "caption", "labels", "refine", "topomap", "page", "simulate", "noise_audit", "instruct", "splits",
    "bench", "store", "duplicates", "audit", "engines", "build", "rewrite", "stats", "dataset",
)  # fmt: skip
OPTIONAL = {
    "ray",
    "aiohttp",
    "vllm",
    "openai",
    "braindecode",
    "deepspeed",
    "mne_bids",
    "umap",
    "peft",
}  # extras: in functions only
MACHINE_PATH = re.compile(r"(?<![\w.:/-])(?:/(?:home|root|work|mnt|Users|tmp)/|[A-Z]:\\)\w")

parametrize_code = pytest.mark.parametrize("path", CODE, ids=[str(path.relative_to(ROOT)) for path in CODE])
parametrize_experiments = pytest.mark.parametrize(
    "path", EXPERIMENTS, ids=lambda path: f"{path.parent.name}/{path.name}"
)


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Every module that a syntax tree imports, absolute names, `from a import b` as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


def top_level(tree: ast.Module) -> ast.Module:
    """The statements that run on import: functions, and what only type checkers read, left out."""
    kept = [
        node
        for node in tree.body
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    return ast.Module(kept, [])


@parametrize_code
def test_nobody_imports_across_a_forbidden_edge(path: Path) -> None:
    package = package_of(path)
    found = {name.split(".")[0] for name in imports(ast.parse(path.read_text("utf-8")), package)}
    assert found & (NEVER | FORBIDDEN.get(package.split(".")[0], set())) == set()


@parametrize_code
def test_optional_dependencies_are_imported_inside_functions(path: Path) -> None:
    tree = top_level(ast.parse(path.read_text("utf-8")))
    assert not {name.split(".")[0] for name in imports(tree, package_of(path))} & OPTIONAL


@pytest.mark.parametrize("path", sorted((ROOT / "corpus").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_corpus_modules_import_only_modules_above_them(path: Path) -> None:
    room = path.relative_to(ROOT / "corpus").parts[0].removesuffix(".py")
    if room == "__init__":
        assert not list(imports(ast.parse(path.read_text("utf-8")), "corpus"))
        return
    assert room in ORDER, f"{room} has no place in ORDER: give it one, here and in ARCHITECTURE.md"
    names = imports(ast.parse(path.read_text("utf-8")), package_of(path))
    used = {name.split(".")[1] for name in names if name.startswith("corpus.")}
    assert used <= {room, *ORDER[: ORDER.index(room)]}


@pytest.mark.parametrize(
    ("package", "leave_out", "forbidden"),
    [
        ("corpus", {"corpus.dataset"}, {"torch", "mne", "transformers", "lightning", "encoders", "neuronarrator"}),
        # open_clip itself imports transformers where it is installed, so the tower that is built of it is left out
        ("encoders", {"encoders.topomap"}, {"mne", "transformers", "lightning", "corpus", "neuronarrator"}),
    ],
)
def test_importing_a_package_stays_light(package: str, leave_out: set[str], forbidden: set[str]) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    kept = [name for name in names if not name.startswith(tuple(leave_out))]
    script = (
        "import importlib, sys\n"
        f"for name in {kept!r}:\n"
        "    importlib.import_module(name)\n"
        f"print(*sorted({forbidden!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_importing_the_dataset_needs_no_mne() -> None:
    script = "import sys, corpus.dataset; print('mne' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@parametrize_code
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    lengths = {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_no_file_holds_a_path_of_somebodys_machine() -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the files of the project are listed by git: this is no checkout, or git is missing")
    found = []
    for name in filter(None, listed.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in content[:8192]:  # text
            lines = enumerate(content.decode("utf-8", "replace").splitlines(), 1)
            found += [f"{name}:{number}" for number, line in lines if MACHINE_PATH.search(line)]
    assert found == []


def resolve(class_path: str) -> Any:
    module, _, name = class_path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def check_arguments(target: Any, given: dict[str, Any], where: str) -> None:
    """The names given exist in the signature, those of dataclasses and lists of dataclasses below it too."""
    parameters = inspect.signature(target).parameters
    assert set(given) <= set(parameters), f"{where}: {sorted(set(given) - set(parameters))} unknown"
    for name, value in given.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and "class_path" in item:
                check_class(item, f"{where}.{name}")
            elif isinstance(item, dict):
                for kind in dataclasses_of(target, name):
                    check_arguments(kind, item, f"{where}.{name}")


def dataclasses_of(target: Any, name: str) -> list[Any]:
    """The dataclasses in the type of one argument: `Source` in `list[Source]`."""
    hint = typing.get_type_hints(target if dataclasses.is_dataclass(target) else target.__init__)[name]
    return [kind for kind in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(kind)]


def check_class(node: dict[str, Any], where: str) -> None:
    assert set(node) <= {"class_path", "init_args"}, where
    check_arguments(resolve(node["class_path"]), node.get("init_args", {}), f"{where} ({node['class_path']})")


def command_of(text: str, path: str) -> list[str]:
    """The files of the first command of a text that ends with an experiment."""
    named = [re.findall(r"--config (\S+\.yaml)", line) for line in text.splitlines()]
    return next(files for files in named if files and files[-1] == path)


@pytest.fixture(scope="module")
def parse() -> Iterator[Any]:
    """What `neuronarrator fit` makes of a list of experiments, before it builds anything; one parser for all."""
    from lightning.pytorch.cli import LightningCLI

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(LightningCLI, "instantiate_classes", lambda self: None)
        first = ["--config", "experiments/align/tiny.yaml"]  # it makes no parser without a model
        cli = LightningCLI(args=first, run=False, save_config_callback=None)
        yield lambda files: cli.parser.parse_args([f"--config={file}" for file in files])


def written(config: Any) -> set[str]:
    """What a run leaves for others: what it saves, and its last checkpoint."""
    kept = [callback.init_args for callback in config.trainer.callbacks or []]
    checkpoints = {f"{args.dirpath}/{args.filename}.ckpt" for args in kept if "dirpath" in args}
    return checkpoints | {config.model.init_args.get("save_to")}


def used(node: Any) -> set[str]:
    """What of the runs before it a part of a configuration names, as a value or as a key."""
    if isinstance(node, dict):
        return set().union(*(used([key, value]) for key, value in node.items() if key != "save_to"))
    if isinstance(node, list | tuple):
        return set().union(*map(used, node))
    return {node} if isinstance(node, str) and node.startswith("runs/") else set()


def test_there_are_experiments() -> None:
    assert EXPERIMENTS


@parametrize_experiments
def test_experiments_name_classes_and_arguments_that_exist(path: Path) -> None:
    from lightning import Trainer

    text = path.read_text("utf-8")
    config = yaml.safe_load(text)
    assert set(config) <= {"seed_everything", "model", "data", "trainer", "ckpt_path"}
    check_class(config["model"], "model")
    check_class(config["data"], "data")
    check_arguments(Trainer, config["trainer"], "trainer")
    assert f"--config {path.relative_to(ROOT).as_posix()}" in text, "the header should say how to run it"


@parametrize_experiments
def test_experiments_hold_values_that_the_command_of_their_header_takes(path: Path, parse: Any) -> None:
    config = parse(command_of(path.read_text("utf-8"), path.relative_to(ROOT).as_posix()))
    assert config.model.class_path.startswith("neuronarrator.")


def test_each_step_of_the_readme_uses_what_the_steps_before_it_wrote(parse: Any) -> None:
    text = (ROOT / "README.md").read_text("utf-8").split("## Train it yourself")[1].split("```")[1]
    steps = [re.findall(r"--config (\S+\.yaml)", line) for line in text.splitlines() if " fit " in line]
    assert len(steps) > 5
    there: set[str] = set()
    for files in steps:
        config = parse(files)
        assert used(config.model.as_dict()) - there == set(), files[-1]
        there |= written(config)
