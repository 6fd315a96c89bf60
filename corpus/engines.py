"""One function over many independent tasks: processes of this machine, or a Ray cluster."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeVar, get_args

Engine = Literal["local", "ray"]
TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_tasks(
    function: Callable[[TaskT], ResultT],
    tasks: Sequence[TaskT],
    engine: Engine = "local",
    workers: int = 1,
    preload: Sequence[str] = (),
) -> Iterator[tuple[TaskT, ResultT | None]]:
    """Each task with its result, as they are done.

    Args:
        function: of a module, so that other processes find it; may run twice on one task if a node is lost.
        tasks: picklable.
        engine: "local" or "ray".
        workers: local processes; Ray uses what its cluster has.
        preload: modules that the function needs, for local processes: imported once, not in each of them.

    Yields:
        (task, result); None where the task kills every process that tries it (local engine).

    Raises:
        ValueError: an unknown engine.
        ImportError: Ray is not installed.
    """
    if engine not in get_args(Engine):
        raise ValueError(f"got engine {engine!r}, expected one of {', '.join(get_args(Engine))}; correct --engine")
    if engine == "ray":
        yield from _run_ray(function, tasks)
    elif workers == 1:
        yield from ((task, function(task)) for task in tasks)
    else:
        yield from _run_processes(function, tasks, workers, preload)


def _run_processes(
    function: Callable[[TaskT], ResultT], tasks: Sequence[TaskT], workers: int, preload: Sequence[str]
) -> Iterator[tuple[TaskT, ResultT | None]]:
    """A pool; if a task kills its process, what is left runs one by one, which shows the task that did it.

    Processes are forked off a server that has done the imports and has no threads; where there is none, they are
    started from nothing.
    """
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_all_start_methods, get_context

    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    context.set_forkserver_preload([*preload, function.__module__])
    left = dict(enumerate(tasks))
    alone = False
    while left:
        with _one_thread(), ProcessPoolExecutor(1 if alone else workers, context, _keep_to_one_thread) as pool:
            futures = {pool.submit(function, task): number for number, task in left.items()}
            try:
                for future in as_completed(futures):
                    result = future.result()
                    yield left.pop(futures[future]), result
            except BrokenProcessPool:
                if alone:  # one process takes the tasks in order: the first that is left killed it
                    yield left.pop(min(left)), None
                alone = True


def _run_ray(function: Callable[[TaskT], ResultT], tasks: Sequence[TaskT]) -> Iterator[tuple[TaskT, ResultT | None]]:
    """Ray Data, one block a task, so that no more than one is lost with a node; lost ones are run again."""
    try:
        import ray
    except ImportError as error:
        raise ImportError("got no Ray, expected it for engine ray; pip install neuronarrator[ray]") from error
    if not ray.is_initialized():
        ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False, configure_logging=False)

    def run(row: dict) -> dict:
        return {"number": row["number"], "result": function(tasks[row["number"]])}

    rows = ray.data.from_items([{"number": i} for i in range(len(tasks))], override_num_blocks=max(len(tasks), 1))
    for row in rows.map(run).iter_rows():
        yield tasks[row["number"]], row["result"]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that start inside compute with one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    _keep_to_one_thread()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _keep_to_one_thread() -> None:
    """Also said in the processes themselves: a server of somebody else's may have been there before."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))
