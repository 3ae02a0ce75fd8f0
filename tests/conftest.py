"""What several test files need: a clean environment, a server, documents, configurations, patience."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from aggregator.app import Aggregator
from tests.server import Server

T = TypeVar("T")

NOON = datetime(2025, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own settings reaches a test, nor the programs it starts."""
    for name in os.environ:
        if name.startswith("AGGREGATOR_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(autouse=True)
def _logging_restored() -> Iterator[None]:
    """A command sets up logging for its process; here it must not outlive the test."""
    root, ours = logging.getLogger(), logging.getLogger("aggregator")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def server() -> Iterator[Server]:
    """A publisher on loopback."""
    with Server() as server:
        yield server


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def item(
    number: int,
    title: str | None = None,
    *,
    text: str = "Nothing of note.",
    link: str | None = None,
    published: datetime = NOON - timedelta(hours=2),
) -> str:
    """An RSS item; `number` makes its guid."""
    return (
        f"<item><title>{title or f'Item {number}'}</title>"
        f"<link>{link or f'https://warta.example/{number}'}</link>"
        f"<guid isPermaLink='false'>g{number}</guid><pubDate>{format_datetime(published)}</pubDate>"
        f"<description>{text}</description></item>"
    )


def rss(*items: str, title: str = "Warta") -> bytes:
    """An RSS document."""
    return (
        "<?xml version='1.0' encoding='UTF-8'?><rss version='2.0'><channel>"
        f"<title>{title}</title><link>https://warta.example/</link><description/>{''.join(items)}"
        "</channel></rss>"
    ).encode()


def site(feed: str) -> bytes:
    """A home page that names its feed."""
    return (
        "<!doctype html><html><head><title>A site</title>"
        f"<link rel='alternate' type='application/rss+xml' href='{feed}'></head><body>Welcome</body></html>"
    ).encode()


def configure(folder: Path, *feeds: str | dict[str, Any], **keys: Any) -> Path:
    """Write a feeds.yaml that may reach loopback; `keys` are further top-level keys."""
    document: dict[str, Any] = {"feeds": list(feeds), "fetch": {"allow_addresses": ["127.0.0.1"]}, **keys}
    path = folder / "feeds.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def poll_all(aggregator: Aggregator) -> None:
    """Ask every feed once."""

    async def run() -> None:
        aggregator.due(everything=True)
        async with asyncio.timeout(10), aggregator.poller() as poller:
            await poller.run()

    asyncio.run(run())


def wait_for(condition: Callable[[], T], seconds: float = 10) -> T:
    """The first true value of `condition`; it fails the test when that takes too long."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds:g} s in vain"
        time.sleep(0.01)
    return value
