"""Word to systemd, as sd_notify(3) describes it: one datagram to the socket that NOTIFY_SOCKET names.

Outside a service manager, and where nobody listens, everything here does nothing.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping
from datetime import timedelta

log = logging.getLogger(__name__)

READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"


def reloading() -> str:
    """That a reload begins; `READY` ends it. The time lets systemd tell it from an earlier one."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def status(text: str) -> str:
    """What `systemctl status` shows, on one line."""
    return "STATUS=" + " ".join(text.split())


def notify(*words: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Say something to the service manager, all of it at once.

    Args:
        words: the values above.
        environ: where NOTIFY_SOCKET stands: a path, or `@` and the name of an abstract socket.

    Returns:
        Whether it was sent.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(words).encode(), address)
    except OSError as error:
        log.debug("the service manager cannot be told: %s", error)
        return False
    return True


def watchdog(environ: Mapping[str, str] = os.environ) -> timedelta | None:
    """How often to say `ALIVE`: twice in the time after which systemd acts; None where it does not watch us."""
    try:
        limit = int(environ.get("WATCHDOG_USEC", ""))
        watched = int(environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return timedelta(microseconds=limit / 2) if limit > 0 and watched == os.getpid() else None
