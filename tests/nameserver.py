"""A resolver whose answers we choose, and a program that lives in a world where it is the only one.

    played("tests.test_names", "rebinding")   # calls `rebinding(names)` there, and gives what it returns

libcurl asks the system's resolver (the wheels are built without c-ares, so it takes no other server), and that one
reads /etc/resolv.conf. So the scenario runs in namespaces of its own (Linux: user, mount, network), in which the
file names our server on 127.0.0.1:53, and in which there is no network but loopback.
"""

import fcntl
import importlib
import json
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Self

_UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
_ROOT = Path(__file__).resolve().parents[1]


def can_be_made() -> bool:
    """Whether this machine lets us make namespaces."""
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run(
        [*_UNSHARE, "mount", "--bind", "/etc/hosts", "/etc/hosts"], capture_output=True, check=False
    )
    return done.returncode == 0


def played(module: str, scenario: str) -> Any:
    """What a function of a test module returns (as JSON) when it is called with `Names` in a world of its own."""
    command = [*_UNSHARE, sys.executable, "-m", "tests.nameserver", module, scenario]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Names:
    """The server: IPv4 addresses by name, one answer after another; the last one stays.

    Attributes:
        asked: how often the addresses of each name were asked for.
        silent: whether nothing is answered; who asks gives up after two seconds.
    """

    def __init__(self) -> None:
        self.asked: dict[str, int] = defaultdict(int)
        self.silent = False
        self._answers: dict[str, Any] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def set(self, name: str, *answers: Sequence[str]) -> None:
        """What to answer for a name: at the first question the addresses of the first answer, and so on."""
        self._answers[name] = chain(answers, repeat(answers[-1]))

    def _serve(self) -> None:
        while True:
            try:
                query, sender = self._socket.recvfrom(4096)
            except OSError:
                return
            answer = self._answer(query)
            if not self.silent:
                self._socket.sendto(answer, sender)

    def _answer(self, query: bytes) -> bytes:
        """RFC 1035 §4: one question; answers point back to its name at offset 12, and may not be kept (TTL 0)."""
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += length + 1
        kind = struct.unpack_from("!H", query, at + 1)[0]
        name = ".".join(labels).lower()
        addresses: Sequence[str] = ()
        if kind == 1 and name in self._answers:
            self.asked[name] += 1
            addresses = next(self._answers[name])
        flags = 0x8180 if name in self._answers else 0x8183
        head = query[:2] + struct.pack("!5H", flags, 1, len(addresses), 0, 0)
        records = (struct.pack("!3HIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(ip) for ip in addresses)
        return head + query[12 : at + 5] + b"".join(records)


def _settle() -> None:
    """Bring loopback up, and have names looked up at 127.0.0.1 alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        up = struct.pack("16sh14x", b"lo", 0x1 | 0x8 | 0x40)  # IFF_UP, IFF_LOOPBACK, IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS
    for path, text in (
        ("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n"),
        ("/etc/nsswitch.conf", "hosts: files dns\n"),
    ):
        place = Path(path)
        if place.exists():
            own = Path(tempfile.mkdtemp()) / place.name
            own.write_text(text)
            subprocess.run(["mount", "--bind", str(own), str(place.resolve())], check=True)


def main() -> None:
    """Play the scenario that the command line names."""
    _, module, scenario = sys.argv
    _settle()
    play: Callable[[Names], Any] = getattr(importlib.import_module(module), scenario)
    with Names() as names:
        print(json.dumps(play(names)))


if __name__ == "__main__":
    main()
