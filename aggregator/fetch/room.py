"""How much of documents is in memory at once."""

import asyncio
from collections.abc import Callable
from typing import Any

SIZE = 4 * 1024 * 1024
"""Bytes of documents that all tasks together may hold before larger ones have to wait."""
SMALL = 128 * 1024
"""Bytes that a task may hold in any case: ordinary feeds never wait for others."""

Owner = asyncio.Task[Any]


class Room:
    """Counts the bytes of documents from their arrival until the task that fetched them has ended.

    So a slow consumer slows the senders down, and many large documents at once take no more memory than a few.
    Whoever came first is never refused: that one can go on and end, and then the next.
    """

    def __init__(self) -> None:
        self._held: dict[Owner, int] = {}
        self._total = 0
        self._waiting: list[Callable[[], None]] = []

    def take(self, owner: Owner, size: int) -> bool:
        """Count `size` more bytes for a task, if there is room for them."""
        held = self._held.get(owner, 0)
        first = next(iter(self._held), owner)
        if self._total + size > SIZE and held + size > SMALL and owner is not first:
            return False
        if not held:
            owner.add_done_callback(self._free)
        self._held[owner] = held + size
        self._total += size
        return True

    async def reserve(self, owner: Owner, size: int) -> None:
        """Count `size` more bytes as soon as there is room for them."""
        while not self.take(owner, size):
            freed = asyncio.Event()
            self._waiting.append(freed.set)
            await freed.wait()

    def give_back(self, owner: Owner, size: int) -> None:
        """Forget bytes of a task that came to nothing."""
        held = min(size, self._held.get(owner, 0))
        if held:
            self._total -= held
            self._held[owner] -= held
            if not self._held[owner]:
                del self._held[owner]
            self._wake()

    def when_freed(self, resume: Callable[[], None]) -> None:
        """Call `resume` once, when there may be room again."""
        self._waiting.append(resume)

    def _free(self, owner: Owner) -> None:
        self.give_back(owner, SIZE + self._total)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for resume in waiting:
            resume()
