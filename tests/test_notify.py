"""Word to systemd, read from a real socket."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from aggregator import notify


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket, and what NOTIFY_SOCKET says of it."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.settimeout(5)
        if request.param == "a path":
            name = str(tmp_path / "notify")
            listener.bind(name)
        else:
            name = f"@aggregator-test-{os.getpid()}-{id(listener)}"
            listener.bind("\0" + name[1:])
        yield listener, name


def test_all_words_come_in_one_datagram(manager: tuple[socket.socket, str]) -> None:
    listener, name = manager
    environ = {"NOTIFY_SOCKET": name}
    assert notify.notify(notify.READY, notify.status("serving\nhttp://x  now"), environ=environ)
    assert listener.recv(1000) == b"READY=1\nSTATUS=serving http://x now"


def test_a_reload_says_when_it_began() -> None:
    before = time.monotonic_ns() // 1000
    word, _, stamp = notify.reloading().partition("\nMONOTONIC_USEC=")
    assert word == "RELOADING=1"
    assert before <= int(stamp) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="no service manager"),
        pytest.param({"NOTIFY_SOCKET": ""}, id="an empty name"),
        pytest.param({"NOTIFY_SOCKET": "vsock:2:1234"}, id="another kind of socket"),
        pytest.param({"NOTIFY_SOCKET": "/nowhere/notify"}, id="nobody listens"),
        pytest.param({"NOTIFY_SOCKET": "/" + "x" * 200}, id="a name that is too long"),
    ],
)
def test_where_nobody_listens_nothing_happens(environ: dict[str, str]) -> None:
    assert not notify.notify(notify.READY, environ=environ)


@pytest.mark.parametrize(
    ("environ", "every"),
    [
        pytest.param({}, None, id="not watched"),
        pytest.param({"WATCHDOG_USEC": "120000000"}, timedelta(minutes=1), id="half the limit"),
        pytest.param(
            {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())},
            timedelta(seconds=1.5),
            id="meant for us",
        ),
        pytest.param({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None, id="meant for another process"),
        pytest.param({"WATCHDOG_USEC": "0"}, None, id="no limit"),
        pytest.param({"WATCHDOG_USEC": "soon"}, None, id="nonsense"),
    ],
)
def test_how_often_the_watchdog_is_fed(environ: dict[str, str], every: timedelta | None) -> None:
    assert notify.watchdog(environ) == every
