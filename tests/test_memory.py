"""Memory that is given back."""

import subprocess
import sys
from pathlib import Path

import pytest

from aggregator import memory

SCRIPT = """
import sys
from aggregator import memory
if sys.argv[1] == "economical":
    memory.economise()

def size():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 // 1024**2

bytearray(20_000_000)  # from now on glibc keeps pieces of this size for itself, unless it is told not to
before = size()
large, small = [], []
for _ in range(30):
    large.append(bytearray(b"x") * 1_000_000)
    small.append(bytearray(b"x") * 1_000)  # stays, and the memory below it with it
del large
print(size() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the size is read from /proc")
def test_large_pieces_go_back_to_the_system() -> None:
    run = [sys.executable, "-c", SCRIPT, "economical"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 5, "of 30 MiB"


@pytest.mark.parametrize("library", [object(), None], ids=["without mallopt", "none at all"])
def test_where_the_c_library_cannot_nothing_changes(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> object:
        if library is None:
            raise OSError("no such library")
        return library

    monkeypatch.setattr("ctypes.CDLL", load)
    memory.economise()
