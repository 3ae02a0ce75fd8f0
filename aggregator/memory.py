"""How the C library keeps memory that is no longer used.

glibc gives each thread an arena of its own, and keeps freed pieces of up to 32 MiB for the next one of that size. A
program that reads one large document now and then would stay as large as the largest time of all its threads.
"""

import ctypes

_ARENAS, _MAPPED_FROM = -8, -3  # M_ARENA_MAX, M_MMAP_THRESHOLD of mallopt(3)
LARGE = 320 * 1024
"""Pieces of this many bytes and more go back to the system as soon as they are freed.

Above the 256 KiB that asyncio reserves each time it reads from a connection: to get them from the system anew would cost
half as much again as all the rest of a small answer.
"""


def economise() -> None:
    """Have this process keep little of what it frees; where the C library cannot, nothing changes."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # musl, macOS, Windows
        return
    mallopt(_ARENAS, 1)
    mallopt(_MAPPED_FROM, LARGE)
