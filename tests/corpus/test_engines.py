import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.engines import run_tasks


def square(number: int) -> int:
    return number * number


def kill_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads(number: int) -> str:
    return os.environ.get("OMP_NUM_THREADS", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_comes_back_with_its_result(workers: int) -> None:
    assert sorted(run_tasks(square, range(6), workers=workers)) == [(i, i * i) for i in range(6)]


def test_a_task_that_kills_its_process_loses_no_other() -> None:
    assert sorted(run_tasks(kill_at_three, range(6), workers=2), key=lambda pair: pair[0]) == [
        (0, 0), (1, 1), (2, 2), (3, None), (4, 4), (5, 5),
    ]  # fmt: skip


def test_processes_compute_with_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert [result for _, result in run_tasks(threads, range(2), workers=2)] == ["1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_modules_are_imported_once_before_the_processes_start(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text("import sys\n\ndef loaded(name):\n    return name in sys.modules\n")
    code = (
        "from corpus.engines import run_tasks; from probe import loaded\n"
        "print(*run_tasks(loaded, ['wave', 'colorsys'], workers=2, preload=['wave']))"
    )
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    found = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert "('wave', True)" in found.stdout, found.stderr
    assert "('colorsys', False)" in found.stdout


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(ValueError, match="got engine 'spark'"):
        list(run_tasks(square, [1], engine="spark"))  # type: ignore[arg-type]


def mark(task: tuple[str, int]) -> int:
    folder, number = task
    Path(folder, str(number)).touch()
    return number


@pytest.mark.slow
def test_ray_runs_every_task_though_a_node_dies(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="engine ray needs the extra ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        results = {}
        for (_, number), result in run_tasks(slow_mark, [(str(tmp_path), i) for i in range(16)], engine="ray"):
            results[number] = result
            if len(results) == 4:
                cluster.remove_node(second, allow_graceful=False)
        assert results == {i: i for i in range(16)}
        assert len(list(tmp_path.iterdir())) == 16
    finally:
        ray.shutdown()
        cluster.shutdown()


def slow_mark(task: tuple[str, int]) -> int:
    import time

    time.sleep(0.5)
    return mark(task)
