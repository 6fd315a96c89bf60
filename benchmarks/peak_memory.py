"""Peak memory of a process of its own, for the benchmarks beside this file.

On Linux `ru_maxrss` survives exec, so that of a child begins with the peak of its parent; VmHWM begins anew.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_COMMAND = """
import sys
from neuronarrator.cli import main
code = main(sys.argv[2:])
sys.path.insert(0, sys.argv[1])
from peak_memory import peak_mib
print(peak_mib())
sys.exit(code)
"""


def peak_mib() -> float:
    """Of this process so far."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 2**10


def run_command(words: Sequence[str]) -> float:
    """Run `neuronarrator` with these words in a process of its own; returns its peak, MiB."""
    command = [sys.executable, "-c", _COMMAND, str(Path(__file__).parent), *words]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return float(told.splitlines()[-1])
