"""The long-running process: heartbeats, signals, reload, the web server, and a graceful end.

APScheduler is the heartbeat, not the calendar: a handful of jobs in memory. When a feed is due stands
in the store, so nothing is lost with the process, and two daemons on one file share the work.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from aggregator import config, notify
from aggregator.app import Aggregator, utc_now
from aggregator.errors import ConfigError, ServeError, StoreError
from aggregator.metrics import Metrics
from aggregator.model import PollOutcome, PollResult, Settings
from aggregator.poll import Poller
from aggregator.push import Push
from aggregator.store import Recorded, SubscriptionChanges
from aggregator.text import masked
from aggregator.web import check_bind, hosts_of, make_app
from aggregator.web.live import Answering

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from apscheduler.triggers.base import BaseTrigger

log = logging.getLogger(__name__)

TICK = timedelta(seconds=1)
"""How often due feeds are looked for, at least; while there are many, as soon as polls have ended."""
WATCH = timedelta(seconds=1)
"""How often the configuration is looked at for changes."""
PRUNE = timedelta(hours=1)
"""How often old entries are removed, and silent feeds looked for."""
WHOLE = timedelta(days=1)
"""How often all files of `publish: dir:` are written anew, archives included."""
GATHER = timedelta(seconds=2)
"""How long news gather until they are written to `publish: dir:`."""
COUNT = timedelta(minutes=10)
"""How often the trend indices are brought up to date."""
LISTS = timedelta(minutes=1)
"""How often it is looked whether a remote list is due."""
PATIENCE, TURN = 0.05, 0.02
"""How long, in seconds, polling lets readers go first; and how long it then works before it does so again."""
HANDOVER = 0.001
"""How long, in seconds, a thread may keep the interpreter while another waits for it. Python's 5 ms are meant for work
alone: a page asks for it a hundred times, each time that the store answers, and polling would let it go so late."""
OLD = 100
"""How many collections of young objects come before one of all, ten times Python's: that one stops everybody for 50 ms,
and finds next to nothing."""
GRACE = 2.5
"""How long, in seconds, polls and answers may go on after the signal to stop; the whole end takes up to 5 s."""


class Daemon:
    """Runs until it is told to stop.

    Args:
        aggregator: opened.
        load: reads the configuration again.
        watched: gives the files whose change means a reload.
        host, port: where to serve; port 0 takes a free one.
        token: the password of readers, or None.
        on_serving: called with the address once pages can be asked for.
    """

    def __init__(
        self,
        aggregator: Aggregator,
        *,
        load: Callable[[], Settings],
        watched: Callable[[], list[Path]],
        host: str = "127.0.0.1",
        port: int = 8000,
        token: str | None = None,
        on_serving: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._aggregator = aggregator
        self._load = load
        self._watched = watched
        self._host, self._port, self._token = host, port, token
        self._on_serving = on_serving
        self._stopping = asyncio.Event()
        self._fingerprint = b""
        self._faulty: set[Path] = set()
        self._reloading = asyncio.Lock()
        self._reloaded = asyncio.Event()
        self._publishing = asyncio.Lock()
        self._answering: Answering | None = None
        self._poller: Poller | None = None
        self._push: Push | None = None
        self._pollers = AsyncExitStack()
        self._store_troubled = False
        self._beat_at = 0.0
        self._turn_until = 0.0
        self._metrics = Metrics(
            aggregator.store.census,
            clock=aggregator.clock,
            in_flight=lambda: 0 if self._poller is None else self._poller.in_flight,
            heartbeat_at=lambda: aggregator.heartbeat_at,
        )

    async def run(self) -> None:
        """Serve and poll until SIGTERM or SIGINT.

        Raises:
            ServeError: the address is taken or cannot be bound; nothing has been changed then.
        """
        with _listen(self._host, self._port) as listener:
            await self._run(listener)

    async def _run(self, listener: socket.socket) -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        # It would say each second that the last look at the configuration has not ended yet.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        scheduler = AsyncIOScheduler(
            timezone="UTC",
            job_defaults={"max_instances": 1, "misfire_grace_time": None},
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: scheduler.add_job(self._reload))
        jobs: list[tuple[Callable[[], Awaitable[None]], timedelta]] = [
            (self._watch, WATCH),
            (self._prune, PRUNE),
            (self._look, PRUNE),
            (self._count, COUNT),
            (self._publish_all, WHOLE),
        ]
        if watchdog := notify.watchdog():
            jobs.append((partial(self._still_alive, watchdog), watchdog))
        for job, every in jobs:
            scheduler.add_job(
                self._until_stopped,
                _each(every),
                [job],
                name=getattr(job, "__name__", None),
                next_run_time=self._aggregator.clock(),
            )

        self._fingerprint = await asyncio.to_thread(_fingerprint, self._files())
        await asyncio.to_thread(self._aggregator.subscribe)
        url = _url(self._host, listener.getsockname()[1])
        await asyncio.to_thread(self._aggregator.serve_at, url, hub=True)
        self._answering = Answering(
            make_app(
                self._aggregator,
                hosts=hosts_of(self._host, self._aggregator.settings.public_url),
                token=self._token,
                metrics=self._metrics.exposition,
                push=lambda: self._push,
                stopping=self._stopping.is_set,
            )
        )
        # Who asks is taken from a header only where there is a web server in front, on this machine.
        server = _server(self._answering, behind_another=self._aggregator.settings.public_url is not None)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        heart = [
            asyncio.create_task(work)
            for work in (self._relink(), self._keep_publishing(), self._keep_lists())
        ]
        try:
            await self._new_poller()
            gc.collect()
            gc.freeze()  # what is there now stays: to look through it again and again delays answers
            gc.set_threshold(*gc.get_threshold()[:2], OLD)
            sys.setswitchinterval(HANDOVER)
            scheduler.start()
            heart += (asyncio.create_task(self._keep_polling()), asyncio.create_task(_keep_time(scheduler)))
            log.info(
                "serving %s, following %d feeds",
                url,
                self._aggregator.following,
                extra={"url": url},
            )
            notify.notify(notify.READY, notify.status(f"serving {url}"))
            self._on_serving(url)
            await asyncio.wait(
                {serving, asyncio.create_task(self._stopping.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
            if serving.done():
                raise ServeError("the web server has ended by itself") from serving.exception()
        finally:
            log.info("stopping")
            notify.notify(notify.STOPPING)
            for task in heart:
                task.cancel()
            scheduler.pause()  # what runs may end; to break it off would be logged as a fault
            server.should_exit = True
            if self._poller is not None:
                await self._poller.stop(GRACE)
            await self._pollers.aclose()
            scheduler.shutdown(wait=False)
            await asyncio.gather(serving, return_exceptions=True)

    def stop(self) -> None:
        """Begin to stop."""
        self._stopping.set()

    async def _new_poller(self) -> None:
        old = self._pollers
        self._pollers = AsyncExitStack()
        self._push = await self._pollers.enter_async_context(self._aggregator.pushing(self._report))
        self._poller = await self._pollers.enter_async_context(
            self._aggregator.poller(self._recorded, self._give_way)
        )
        await old.aclose()

    # ------------------------------------------------------------------------------ heartbeats

    async def _until_stopped(self, job: Callable[[], Awaitable[None]]) -> None:
        """Do a job of the scheduler's, which would call it a fault that the end of the daemon breaks it off."""
        try:
            await job()
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise

    async def _keep_polling(self) -> None:
        """Look for due feeds each second, and while there are many, as soon as polls have ended."""
        while True:
            try:
                await self._tick()
            except Exception:
                log.exception("a fault of ours while looking for due feeds")
            assert self._poller is not None  # noqa: S101 – there is one before the first look
            # Feeds are due at whole seconds: look when the next one begins.
            await self._poller.freed(TICK - timedelta(microseconds=self._aggregator.clock().microsecond))

    async def _tick(self) -> None:
        self._aggregator.heartbeat_at = self._aggregator.clock()
        self._beat_at = time.monotonic()
        if self._poller is None or self._stopping.is_set():
            return
        try:
            await self._poller.start_due()
        except StoreError as error:
            if not self._store_troubled:  # said once, not every second
                log.error("polling waits for the database: %s", error)  # noqa: TRY400 – no traceback
            self._store_troubled = True
        else:
            if self._store_troubled:
                log.info("the database answers again")
            self._store_troubled = False

    async def _still_alive(self, every: timedelta) -> None:
        """Tell the watchdog so, as long as due feeds are being looked for and the store answers."""
        try:
            health = await asyncio.to_thread(self._aggregator.health)
        except StoreError as error:
            notify.notify(notify.status(str(error)))
            return
        if time.monotonic() - self._beat_at < max(every, 2 * TICK).total_seconds():
            said = "; ".join(health.reasons) or f"following {self._aggregator.following} feeds"
            notify.notify(notify.ALIVE, notify.status(said))

    async def _watch(self) -> None:
        if await asyncio.to_thread(_fingerprint, self._files()) != self._fingerprint:
            await self._reload()

    def _files(self) -> list[Path]:
        # A topic file that is not in force yet is watched as well, once it was found faulty.
        return sorted({*self._watched(), *self._faulty})

    async def _reload(self) -> None:
        async with self._reloading:
            notify.notify(notify.reloading())
            try:
                await self._reload_once()
            finally:
                notify.notify(notify.READY)

    async def _reload_once(self) -> None:
        before = self._aggregator.settings
        # Taken before the files are read: what changes meanwhile is seen at the next look.
        self._fingerprint = await asyncio.to_thread(_fingerprint, self._files())
        try:
            settings = await asyncio.to_thread(self._load)
            changes = await asyncio.to_thread(self._aggregator.reconfigure, settings)
        except ConfigError as error:
            for problem in error.problems:
                log.error("%s", problem)  # noqa: TRY400
            log.error("the configuration is not reloaded, the one before stays in force")  # noqa: TRY400
            self._faulty = {Path(problem.file) for problem in error.problems}
            return
        except StoreError as error:
            log.error("the new configuration could not be stored: %s", error)  # noqa: TRY400
            self._fingerprint = b""  # look at it again
            return
        self._faulty = set()
        if settings.web.password != before.web.password:
            log.warning("another `web: password:` takes effect at the next start")
        if settings.public_url != before.public_url:
            log.warning("requests for another `public_url:` are answered from the next start on")
        if (settings.fetch, settings.push, settings.output) != (before.fetch, before.push, before.output):
            await self._new_poller()
        log.info("configuration reloaded: %s", _told(changes))
        self._reloaded.set()

    async def _prune(self) -> None:
        try:
            while await asyncio.to_thread(self._aggregator.tidy):
                pass
            while removed := await asyncio.to_thread(self._aggregator.prune):
                log.info("%d old entries removed", removed)
        except StoreError as error:
            log.error("old entries could not be removed: %s", error)  # noqa: TRY400

    async def _keep_publishing(self) -> None:
        """Write the output feeds as files soon after anything has changed, whoever changed it, where that is wished."""
        written: object = None
        while True:
            await asyncio.sleep(GATHER.total_seconds())
            settings = self._aggregator.settings
            try:
                version = await asyncio.to_thread(self._aggregator.version)
            except StoreError:
                continue  # polling says so
            # Under another configuration everything may read otherwise.
            now = (version, settings)
            if settings.publish_dir is not None and now != written:
                same = isinstance(written, tuple) and written[1] is settings
                try:
                    await self._publish(whole=not same)
                except Exception:
                    log.exception("a fault of ours while publishing")
            written = now

    async def _keep_lists(self) -> None:
        """Follow what the remote lists say: look each minute, and after a reload, whether one is to be asked."""
        while True:
            self._reloaded.clear()
            try:
                await self._update_lists()
            except StoreError as error:
                log.error("the lists of feeds could not be kept: %s", error)  # noqa: TRY400 – no traceback
            except Exception:
                log.exception("a fault of ours while following the lists of feeds")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reloaded.wait(), LISTS.total_seconds())

    async def _update_lists(self) -> None:
        asked = await self._aggregator.update_lists()
        for state in asked:
            facts = {"list": masked(state.url), "feeds": len(state.feeds)}
            if state.error:
                log.warning("the list %s: %s", masked(state.url), state.error, extra=facts)
            else:
                log.info("the list %s names %d feeds", masked(state.url), len(state.feeds), extra=facts)
        if asked:
            async with self._reloading:
                changes = await asyncio.to_thread(self._aggregator.subscribe)
            if changes != SubscriptionChanges():
                log.info("lists of feeds followed: %s", _told(changes))

    async def _publish_all(self) -> None:
        await self._publish(whole=True)

    async def _publish(self, *, whole: bool) -> None:
        folder = self._aggregator.settings.publish_dir
        if folder is None:
            return
        try:
            async with self._publishing:
                await asyncio.to_thread(self._aggregator.publish, Path(folder), whole=whole)
        except (StoreError, OSError) as error:
            log.error("the output feeds could not be written to %s: %s", folder, error)  # noqa: TRY400

    async def _count(self) -> None:
        try:
            await asyncio.to_thread(self._aggregator.count_trends)
        except StoreError as error:
            log.error("the trends could not be counted: %s", error)  # noqa: TRY400

    async def _relink(self) -> None:
        try:
            if await asyncio.to_thread(lambda: self._aggregator.needs_relinking):
                log.info("the stored entries are being compared with each other anew; polling goes on")
                count = await asyncio.to_thread(self._aggregator.relink, self._stopping.is_set)
                log.info("%d entries linked anew", count)
        except StoreError as error:
            log.error("the entries could not be linked: %s", error)  # noqa: TRY400
        except Exception:
            log.exception("a fault of ours while all was linked anew")

    async def _look(self) -> None:
        try:
            await asyncio.to_thread(self._aggregator.look_for_silence)
        except StoreError as error:
            log.error("silent feeds could not be looked for: %s", error)  # noqa: TRY400

    def _give_way(self) -> None:
        """Wait, in the worker, while a request is being answered: the two would take turns, and both be slow."""
        if self._answering is None or not self._answering.number:
            return
        now = time.monotonic()
        if now < self._turn_until:
            return
        while self._answering.number and time.monotonic() < now + PATIENCE:
            time.sleep(0.002)
        self._turn_until = time.monotonic() + TURN

    def _recorded(self, outcome: PollOutcome, recorded: Recorded) -> None:
        self._report(outcome, recorded)
        if self._push is not None:
            self._push.recorded(outcome, recorded)

    def _report(self, outcome: PollOutcome, recorded: Recorded) -> None:
        self._metrics.count(
            outcome, entries_new=recorded.entries_new, entries_revised=recorded.entries_revised
        )
        url = outcome.state.url
        facts = {
            "feed": outcome.claim.subscription.url,
            "result": outcome.result.value,
            "http_status": outcome.http_status,
            "seconds": round(outcome.seconds, 3),
            "entries_new": recorded.entries_new,
            "entries_revised": recorded.entries_revised,
        }
        if outcome.result is PollResult.FAILED:
            log.warning("%s: %s", url, outcome.error, extra=facts)
        elif recorded.entries_new or recorded.entries_revised:
            log.info(
                "%s: %d new, %d revised", url, recorded.entries_new, recorded.entries_revised, extra=facts
            )
        else:
            log.debug("%s: nothing new", url, extra=facts)


def _each(every: timedelta) -> "BaseTrigger":
    """The times of a job, each counted from when the one before was come to.

    APScheduler's own interval makes a list of all that were missed. Where the clock is put forward by a year, as
    at the start of a machine without a clock, that are thirty million for a job of each second.
    """
    from apscheduler.triggers.base import BaseTrigger

    class Each(BaseTrigger):  # type: ignore[misc]  # it has no types
        def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
            return now + every

    return Each()


async def _keep_time(
    scheduler: "AsyncIOScheduler", clock: Callable[[], datetime] = utc_now, look: timedelta = TICK
) -> None:
    """Let the jobs go on when the clock is put back; by themselves they would wait for the old time to return."""
    before = clock()
    while True:
        await asyncio.sleep(look.total_seconds())
        now = clock()
        if now < before - look:
            log.warning("the clock was put back by %s", before - now)
            for job in scheduler.get_jobs():
                job.modify(next_run_time=now)
        before = now


def _told(changes: SubscriptionChanges) -> str:
    return (
        f"{len(changes.added)} feeds added, {len(changes.changed)} changed, "
        f"{len(changes.resumed)} resumed, {len(changes.paused)} paused"
    )


def _server(app: Answering, *, behind_another: bool) -> uvicorn.Server:
    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are the daemon's

    return Server(
        uvicorn.Config(
            app,
            access_log=False,
            date_header=True,
            lifespan="off",
            log_config=None,
            proxy_headers=behind_another,
            server_header=False,
            timeout_graceful_shutdown=1,
            ws="none",
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )  # asyncio sets it on its own sockets only
            listener.bind(address)
            listener.listen(1024)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise ServeError(
            f"cannot serve at {host}:{port}: {error.strerror or error}. "
            "Is another aggregator running? `--port` takes another port, 0 a free one."
        ) from error
    return listener


def _url(host: str, port: int) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}"


def _fingerprint(paths: list[Path]) -> bytes:
    """Changes when one of the files does. Contents count, not times: an editor may touch a file."""
    digest = blake2b(digest_size=16)
    for path in paths:
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            digest.update(os.fsencode(str(error)))
        digest.update(b"\0")
    return digest.digest()


def run(
    path: Path,
    *,
    db: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    on_serving: Callable[[str], None] = lambda _: None,
) -> None:
    """Run the daemon on a configuration file until it is told to stop.

    Raises:
        AggregatorError: it cannot start; the message says why.
    """
    settings = config.load(path, db=db)
    check_bind(host, token, settings.web.password)
    with Aggregator(settings) as aggregator:

        async def main() -> None:
            await Daemon(
                aggregator,
                load=lambda: config.load(path, db=db),
                watched=lambda: [path, *(Path(topic.file) for topic in aggregator.settings.topics)],
                host=host,
                port=port,
                token=token,
                on_serving=on_serving,
            ).run()

        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(main())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Of uvloop, which answers a fifth more requests a second, where it is installed; None: of asyncio."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory
