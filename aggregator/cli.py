"""The command line: one command for each use case. It prints, and computes nothing.

Exit codes: 0 done; 1 some of the work failed (said which); 2 wrong usage, what there is not included, or invalid
configuration.
Everything heavy is imported by the command that needs it, so that `--help` is instant.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TextIO

import click

from aggregator.errors import AggregatorError, ConfigError, UnknownError

if TYPE_CHECKING:
    from aggregator.app import Aggregator, Belonging
    from aggregator.model import FeedReport, Hit, Level, Match, PollOutcome, StoredEntry, Subscription
    from aggregator.poll import Summary
    from aggregator.store import Recorded


APART = 20
"""Of the entries that one was split from so many are named."""
_ID = click.IntRange(1, 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Context:
    """What the options before the command say."""

    config: Path
    db: str | None
    verbose: bool

    def open(self) -> "Aggregator":
        """The program over this configuration."""
        from aggregator.app import Aggregator

        self.log("WARNING")
        return Aggregator.open(self.config, db=self.db)

    def log(self, usual: str) -> None:
        """Send log lines of that level and above to standard error; all of them where `--verbose` was given."""
        import logging

        from aggregator import logs

        logs.set_up(logging.DEBUG if self.verbose else getattr(logging, usual))


pass_context = click.make_pass_decorator(Context)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("feeds.yaml"),
    show_default=True,
    help="The configuration.",
)
@click.option(
    "--db", metavar="PATH", help="The database, instead of the configuration's and AGGREGATOR_DB's."
)
@click.option("-v", "--verbose", is_flag=True, help="Say more while working.")
@click.version_option(package_name="aggregator")
@click.pass_context
def cli(context: click.Context, config: Path, db: str | None, verbose: bool) -> None:
    """Watch news feeds on a subject: poll, deduplicate, tag with evidence, store, republish.

    Begin with `aggregator demo` to see it at work, or `aggregator init` to write a feeds.yaml.
    """
    context.obj = Context(config, db, verbose)


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    try:
        cli.main(prog_name="aggregator", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        _fail("stopped", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (ConfigError, UnknownError) as error:
        _fail(str(error), 2)
    except AggregatorError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("stopped", 128 + signal.SIGINT)
    except asyncio.CancelledError:
        _fail("stopped", 128 + signal.SIGTERM)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None:  # not about a file that the user named
            raise
        _fail(f"{error.filename}: {error.strerror}", 1)
    except UnicodeEncodeError as error:
        if not any("\ud800" <= char <= "\udfff" for char in error.object):
            raise
        _fail(f"{error.object!a} is no text in UTF-8", 2)
    sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


# ------------------------------------------------------------------------------------- working


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
@pass_context
def run(context: Context, host: str, port: int) -> None:
    """Run the daemon: poll what is due, serve the page and the output feeds.

    Any address but this machine's own needs a password, `web: password:` in feeds.yaml, or AGGREGATOR_TOKEN.
    """
    from aggregator import daemon, memory

    memory.economise()
    context.log("INFO")
    daemon.run(
        context.config, db=context.db, host=host, port=port, token=os.environ.get("AGGREGATOR_TOKEN") or None
    )


@cli.command()
@click.argument("wanted", metavar="[URL-OR-NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every enabled feed, due or not.")
@click.option("--json", "as_json", is_flag=True, help="Print one summary object.")
@pass_context
def poll(context: Context, wanted: Sequence[str], everything: bool, as_json: bool) -> None:
    """Poll the due feeds once, or those named, and exit.

    Exit code 1 says that some feeds could not be read; each is named with the reason.
    """
    from aggregator import memory

    memory.economise()
    started = time.monotonic()
    with context.open() as aggregator:
        asked = asyncio.run(aggregator.update_lists())
        aggregator.subscribe()
        among, due = aggregator.due(wanted, everything=everything)
        with _progress(due, "Polling", hidden=as_json) as advance:
            summary = asyncio.run(_pass(aggregator, among, advance))
        aggregator.finish_pass()
    seconds = round(time.monotonic() - started, 3)
    faulty = [state for state in asked if state.error]
    for state in faulty:
        click.echo(f"the list {_masked(state.url)}: {state.error}", err=True)
    for outcome in summary.failures:
        click.echo(f"{_masked(outcome.state.url)}: {outcome.error}", err=True)
    if as_json:
        numbers = (
            "feeds",
            "changed",
            "unchanged",
            "not_modified",
            "failed",
            "entries_new",
            "entries_revised",
        )
        click.echo(json.dumps({name: getattr(summary, name) for name in numbers} | {"seconds": seconds}))
    elif summary.feeds == summary.unrecorded == 0 and (wanted or everything):
        click.echo(
            "What you asked for is paused, is being polled by another program at the moment, or waits because its "
            "server has asked for a pause: `aggregator feeds` shows until when."
        )
    elif summary.feeds == summary.unrecorded == 0:
        click.echo(
            "No feed is due. `aggregator poll --all` asks every feed, `aggregator feeds` shows when each is."
        )
    else:
        click.echo(
            f"{_count(summary.feeds, 'feed')} in {seconds:.1f} s: {summary.changed} changed, "
            f"{summary.unchanged + summary.not_modified} unchanged, {summary.failed} failed; "
            f"{_count(summary.entries_new, 'new entry', 'new entries')}, {summary.entries_revised} revised."
        )
    if summary.unrecorded:
        click.echo(
            f"{_count(summary.unrecorded, 'poll')} could not be recorded; nothing is lost, "
            "the feeds are due again in ten minutes.",
            err=True,
        )
    if summary.failed or summary.unrecorded or faulty:
        sys.exit(1)


async def _pass(
    aggregator: "Aggregator", among: Sequence[int] | None, advance: Callable[[], None]
) -> "Summary":
    from aggregator.poll import Summary

    summary = Summary()

    def recorded(outcome: "PollOutcome", result: "Recorded") -> None:
        summary.add(outcome, result)
        advance()

    task = asyncio.current_task()
    assert task is not None  # noqa: S101 – coroutines run in tasks
    async with aggregator.poller(recorded) as poller:
        # As Ctrl-C does: what is being fetched may finish, and what is claimed is given back.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await poller.run(among=among)
        summary.unrecorded = poller.unrecorded
    return summary


@contextmanager
def _progress(length: int, label: str, *, hidden: bool) -> Iterator[Callable[[], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    if hidden or not sys.stderr.isatty() or length == 0:
        yield lambda: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr, show_pos=True) as bar:
        yield lambda: bar.update(1)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), required=False)
def init(folder: Path) -> None:
    """Write a commented feeds.yaml to begin with; never overwrites."""
    from aggregator import config

    path = folder / "feeds.yaml"
    config.starter(path)
    click.echo(f"{path} is written. Look it through, then: aggregator run")


@cli.command()
@click.option("--once", is_flag=True, help="Show what came of it and exit, instead of serving it.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; default: a free one."
)
@pass_context
def demo(context: Context, once: bool, port: int) -> None:
    """Show the whole path at work on sample feeds, in a temporary database."""
    from aggregator.demo import sample_site

    with sample_site() as path:
        database = str(path.with_name("demo.db"))  # named here, for AGGREGATOR_DB must not lead elsewhere
        sample = Context(path, database, context.verbose)
        with sample.open() as aggregator:
            aggregator.subscribe()
            summary = asyncio.run(_pass(aggregator, None, lambda: None))
            _show_demo(aggregator, summary)
            if once and summary.failed:
                sys.exit(1)
        if not once:
            from aggregator import daemon

            daemon.run(path, db=database, port=port, on_serving=_show_address)


def _show_demo(aggregator: "Aggregator", summary: "Summary") -> None:
    topic = aggregator.settings.output[0]
    from aggregator.publish import reasons, why

    about = aggregator.entries(topic, 50)
    click.echo(
        f"Polled {_count(summary.feeds, 'sample feed')} on this machine: "
        f"{_count(summary.entries_new, 'entry', 'entries')} stored, "
        f"{_count(len(about), 'article')} tagged {topic.name}.\n"
    )
    for entry in about:
        click.echo(f"  {click.style(entry.title, bold=True)}")
        click.echo(f"    {_origin(entry)}")
        click.echo(f"    why: {why(reasons(entry)[0])}\n")


def _show_address(url: str) -> None:
    click.echo(f"Open {url} in a browser, subscribe to {url}/feeds/caribbean-tension.atom in a feed reader.")
    click.echo("Ctrl-C ends the demo and removes its database.")


# ----------------------------------------------------------------------------- configuration


@cli.command()
@click.option("--schema", is_flag=True, help="Print the JSON Schema of feeds.yaml, for editors, instead.")
@pass_context
def check(context: Context, schema: bool) -> None:
    """Validate the configuration and every topic rule; say what a start would change."""
    from aggregator import config

    if schema:
        click.echo(json.dumps(config.schema(), indent=2, ensure_ascii=False))
        return
    from aggregator.app import Aggregator, compiled, unmet
    from aggregator.store import is_outdated

    settings = config.load(context.config, db=context.db)
    if not Path(settings.database).exists():
        compiled(settings)
        _check_outputs(context.config, unmet(settings))
        click.echo(f"{context.config} is valid.")
        enabled = sum(feed.enabled for feed in settings.feeds)
        more = f", and those of {_count(len(settings.lists), 'list')}" if settings.lists else ""
        click.echo(f"A start would make {settings.database} and add {_count(enabled, 'feed')}{more}.")
        return
    if is_outdated(Path(settings.database)):
        compiled(settings)
        click.echo(f"{context.config} is valid.")
        click.echo(f"A start would bring {settings.database} to the present schema; check again after that.")
        return
    with Aggregator(settings) as aggregator:
        changes = aggregator.subscribe(dry_run=True)
        stale = aggregator.stale_topics()
        lists = aggregator.lists()
        topics = aggregator.topic_titles()
        found = unmet(settings, aggregator.feeds(), lists)
    _check_outputs(context.config, found)
    click.echo(f"{context.config} is valid.")
    names = {
        "added": "add",
        "changed": "change",
        "resumed": "resume",
        "paused": "pause (its entries are kept)",
    }
    for name, verb in names.items():
        for url in getattr(changes, name):
            click.echo(f"A start would {verb}: {_masked(url)}")
    for slug in stale:
        click.echo(
            f"The rules of {slug} have changed since the stored entries were tagged: aggregator topics backtest"
            if slug in topics
            else f"{slug} is no topic any more, but the stored entries keep its tags: aggregator topics retag"
        )
    unread = [state for state in lists if state.read_at is None]
    for state in unread:
        click.echo(f"A start would read, and follow: {_masked(state.url)}")
    for state in lists:
        if state.error:
            click.echo(f"The list {_masked(state.url)}: {state.error}")
    if not any(getattr(changes, name) for name in names) and not stale and not unread:
        click.echo("A start would change nothing.")


def _check_outputs(path: Path, unmet: Iterable[tuple[int, str, str, bool]]) -> None:
    """Say which output feeds name a feed or a label that there is not. Raises ConfigError where that is certain."""
    from aggregator import config

    problems = []
    for at, key, message, certain in unmet:
        problem = config.problem(path, ("output", at, key), message)
        if certain:
            problems.append(problem)
        else:
            click.echo(f"{problem} Or it is among those that have not been read yet.")
    if problems:
        raise ConfigError(problems)


@cli.command()
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@pass_context
def add(context: Context, urls: Sequence[str]) -> None:
    """Find the feed behind each URL and append it to the configuration."""
    from aggregator import config
    from aggregator.app import Aggregator
    from aggregator.model import FetchFailure

    context.log("WARNING")
    failed = False
    with Aggregator.open(context.config, db=context.db) as aggregator:
        for given in urls:
            url = given if "://" in given else f"https://{given}"
            found = asyncio.run(aggregator.find_feed(url))
            if isinstance(found, FetchFailure):
                click.echo(f"{given}: {found.message}", err=True)
                failed = True
                continue
            feed_url, parsed = found
            title = f" ({parsed.title})" if parsed.title else ""
            if config.add_feeds(context.config, [feed_url]):
                click.echo(f"added {feed_url}{title}, {_count(len(parsed.entries), 'entry', 'entries')}")
            else:
                click.echo(f"{feed_url}{title} is there already")
    if failed:
        sys.exit(1)


@cli.group()
def opml() -> None:
    """Subscriptions in and out, as OPML."""


@opml.command("import")
@click.argument("file", type=click.File("rb"))
@pass_context
def opml_import(context: Context, file: Any) -> None:
    """Append the feeds of an OPML file to the configuration."""
    from aggregator import config, lists

    found = lists.read(file.read())
    added = config.add_feeds(context.config, found)
    click.echo(f"{_count(len(found), 'feed')} found, {len(added)} added, the others were there already.")


@opml.command("export")
@pass_context
def opml_export(context: Context) -> None:
    """Print the subscriptions as OPML 2.0."""
    with context.open() as aggregator:
        click.echo(aggregator.opml(), nl=False)


# ------------------------------------------------------------------------------------ looking


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@pass_context
def feeds(context: Context, as_json: bool) -> None:
    """Show every feed with its health."""
    from aggregator import health

    with context.open() as aggregator:
        reports, lists = aggregator.feeds(), aggregator.lists()
        unread = aggregator.unread()
        now = aggregator.clock()
    if as_json:
        objects = [*map(_feed_object, reports), *map(_unread_object, unread)]
        click.echo(json.dumps(objects, indent=2, ensure_ascii=False))
        return
    for report in reports:
        state = report.state
        name = report.subscription.name or state.title or _masked(report.subscription.url)
        colour = {"active": "green", "paused": None}.get(state.status, "red")
        due = (
            "" if state.next_poll_at is None or state.status == "paused" else _until(state.next_poll_at, now)
        )
        click.echo(
            f"{click.style(f'{state.status:<8}', fg=colour)} {name[:40]:<40} {_entries(report)} "
            f"{report.entries_per_week:>6.0f}/week  read {_ago(state.last_success_at, now):<12} next {due}"
            f"{_cadence(report)}"
        )
        for condition in health.conditions(report):
            click.echo(f"         {_masked(state.url)}: {condition.message}")
    for wish in unread:
        click.echo(f"{'new':<8} {(wish.name or _masked(wish.url))[:40]:<40} not read yet")
    for each in lists:
        status = click.style(f"{'list':<8}", fg="red" if each.error else "green")
        read = f"read {_ago(each.read_at, now)}"
        feeds = "feed" if len(each.feeds) == 1 else "feeds"
        click.echo(f"{status} {_masked(each.url):<40} {len(each.feeds):>6} {feeds:<19}  {read}")
        if each.error:
            click.echo(f"         {_masked(each.url)}: {each.error}")


def _entries(report: "FeedReport") -> str:
    return f"{report.entries:>6} {'entry' if report.entries == 1 else 'entries':<7}"


def _cadence(report: "FeedReport") -> str:
    """What a feed's cadence costs and what it brings."""
    if report.requests_per_day is None or report.expected_delay is None:
        return ""
    return f"  {report.requests_per_day:.3g} requests a day, delay {_span(report.expected_delay)}"


def _feed_object(report: "FeedReport") -> dict[str, Any]:
    from aggregator import health

    state = report.state
    return {
        "id": report.id,
        "url": _masked(report.subscription.url),
        "feed_url": _masked(state.url),
        "title": report.subscription.name or state.title,
        "tags": list(report.subscription.tags),
        "status": state.status.value,
        "http_status": state.http_status,
        "last_error": state.last_error,
        "failing_since": _stamp(state.failing_since),
        "silent_since": _stamp(state.silent_since),
        "moved_to": state.moved_to and _masked(state.moved_to),
        "conditions": [
            {"kind": condition.kind, "message": condition.message} for condition in health.conditions(report)
        ],
        "last_polled_at": _stamp(state.last_polled_at),
        "last_success_at": _stamp(state.last_success_at),
        "next_poll_at": _stamp(state.next_poll_at),
        "interval_seconds": None if state.interval is None else state.interval.total_seconds(),
        "requests_per_day": report.requests_per_day and round(report.requests_per_day, 2),
        "expected_delay_seconds": report.expected_delay and round(report.expected_delay.total_seconds()),
        "entries": report.entries,
        "entries_per_week": round(report.entries_per_week, 1),
    }


def _unread_object(wish: "Subscription") -> dict[str, Any]:
    """A feed of the configuration that the store does not know yet."""
    from aggregator.model import FeedReport, FeedState

    return _feed_object(FeedReport(0, wish, FeedState(wish.url), 0, 0.0)) | {"id": None, "status": "new"}


def _since(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """A day, a time, or how long ago: `2026-01-31`, `7d`, `12h`."""
    if value is None:
        return None
    try:
        if match := re.fullmatch(r"(\d+)([mhdw])", value):
            unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[match[2]]
            return datetime.now(UTC) - timedelta(**{unit: int(match[1])})
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time; write a day (2026-01-31) or how long ago (12h, 7d, 2w)"
        ) from None


def _language(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """A language, written as in feeds.yaml and in addresses."""
    from aggregator.publish.selections import read

    try:
        return value and read("language", value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@cli.command()
@click.argument("query")
@click.option("--topic", metavar="SLUG", help="Only entries with this topic.")
@click.option("--feed", "wanted", metavar="URL-OR-NAME", multiple=True, help="Only entries of this feed.")
@click.option(
    "--language", callback=_language, metavar="CODE", help="Only entries in this language: en, es, id."
)
@click.option(
    "--since", callback=_since, metavar="TIME", help="Only entries from then on: 2026-01-31, 12h, 7d, 2w."
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@pass_context
def search(
    context: Context,
    query: str,
    topic: str | None,
    wanted: Sequence[str],
    language: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Search titles and texts: words, "phrases", prefix*, AND, OR, NOT, NEAR(a b)."""
    with context.open() as aggregator:
        hits = aggregator.search(
            query, topic=topic, feeds=wanted, language=language, since=since, limit=limit
        )
        if advice := aggregator.advice(query):
            click.echo(advice, err=True)
    if as_json:
        found = [_entry_object(hit.entry) | {"snippet": _bracketed(hit)} for hit in hits]
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    if not hits:
        click.echo("Nothing found.", err=True)
    for hit in hits:
        click.echo(f"{hit.entry.id:>7}  {click.style(hit.entry.title, bold=True)}")
        click.echo(f"         {_origin(hit.entry)}")
        click.echo(f"         {_bracketed(hit)}")


def _bracketed(hit: "Hit") -> str:
    """A hit's snippet on one line, what was found in brackets."""
    return " ".join("".join(f"[{part}]" if found else part for part, found in hit.snippet).split())


def _entry_object(entry: "StoredEntry") -> dict[str, Any]:
    return {
        "id": entry.id,
        "feed": entry.feed_title,
        "url": entry.url,
        "title": entry.title,
        "author": entry.author,
        "language": entry.language,
        "published_at": _stamp(entry.published_at),
        "first_seen_at": _stamp(entry.first_seen_at),
        "revision": entry.revision,
        "article_id": entry.article_id,
        "tags": [tag.topic if tag.aspect is None else f"{tag.topic}/{tag.aspect}" for tag in entry.tags],
    }


@cli.command()
@click.argument("entry_id", metavar="ENTRY-ID", type=_ID)
@pass_context
def why(context: Context, entry_id: int) -> None:
    """Show why an entry is where it is: its article, its story, what it names as its source, its tags."""
    from aggregator.model import Level

    with context.open() as aggregator:
        belonging = aggregator.belonging(entry_id)
    entry = belonging.entry
    click.echo(click.style(entry.title, bold=True))
    click.echo(_origin(entry))
    if entry.revision > 1:
        click.echo(f"revision {entry.revision}, changed {_stamp(entry.changed_at)}")
    for attribution in entry.attributions:
        address = f": {attribution.url}" if attribution.url else ""
        click.echo(f"says its source is {attribution.name}{address}")

    click.echo(f"\narticle {entry.article_id}: {_count(len(belonging.copies), 'entry', 'entries')}")
    for copy in belonging.copies:
        original = "  the original" if copy.id == belonging.canonical and len(belonging.copies) > 1 else ""
        click.echo(f"  {copy.id}: {_origin(copy)}{original}")
    _show_edges(entry_id, belonging, Level.ARTICLE)

    if (story := belonging.story) is not None:
        articles, feeds = _count(story.article_count, "article"), _count(story.feed_count, "feed")
        click.echo(f"\nstory {story.id}: {story.title} ({articles} from {feeds})")
        seen = {entry.article_id}
        for telling in story.tellings:
            if telling.article_id not in seen:
                seen.add(telling.article_id)
                click.echo(f"  {telling.entry_id}: {telling.outlet}, {_stamp(telling.at)}: {telling.title}")
        _show_edges(entry_id, belonging, Level.STORY)

    for tag in entry.tags:
        if tag.aspect is None:
            aspects = [other.aspect for other in entry.tags if other.topic == tag.topic and other.aspect]
            click.echo(
                f"\ntagged {tag.topic} with score {tag.score:g}" + "".join(f", {name}" for name in aspects)
            )
            _show_matches(match for match in entry.matches if match.topic == tag.topic)


def _show_edges(entry_id: int, belonging: "Belonging", level: "Level") -> None:
    for edge in belonging.edges:
        if edge.level is level:
            other = edge.b if edge.a == entry_id else edge.a
            click.echo(f"  with {other}: by {edge.method.removeprefix('by ')}, score {edge.score:.2f}")
    if others := belonging.apart[level]:
        more = f" and {len(others) - APART} more" if len(others) > APART else ""
        click.echo(f"  kept apart by hand from {', '.join(map(str, others[:APART]))}{more}")


_story = click.option("--story", is_flag=True, help="Correct the story instead of the article.")


@cli.command()
@click.argument("entry_id", metavar="ENTRY-ID", type=_ID)
@_story
@pass_context
def split(context: Context, entry_id: int, story: bool) -> None:
    """Take an entry out of its article, or with --story its article out of its story, for good."""
    from aggregator.model import Level

    level = Level.STORY if story else Level.ARTICLE
    with context.open() as aggregator:
        aggregator.split(entry_id, level)
        entry = aggregator.entry(entry_id)
    click.echo(f"entry {entry_id} is now in article {entry.article_id} and story {entry.story_id}")


@cli.command()
@click.argument("entry_id", metavar="ENTRY-ID", type=_ID)
@click.argument("other_id", metavar="OTHER-ID", type=_ID)
@_story
@pass_context
def merge(context: Context, entry_id: int, other_id: int, story: bool) -> None:
    """Make two entries one article, or with --story their articles one story, for good."""
    from aggregator.model import Level

    level = Level.STORY if story else Level.ARTICLE
    with context.open() as aggregator:
        aggregator.merge(entry_id, other_id, level)
        entry = aggregator.entry(entry_id)
    click.echo(
        f"entries {entry_id} and {other_id} are now in article {entry.article_id} and story {entry.story_id}"
        if not story
        else f"the articles of entries {entry_id} and {other_id} are now in story {entry.story_id}"
    )


@cli.command()
def password() -> None:
    """Ask for a password, or read one from standard input, and print its hash for `web: password: env:…`."""
    from aggregator import config
    from aggregator.web.auth import hashed

    if sys.stdin.isatty():
        word = click.prompt("The password for the pages", hide_input=True, confirmation_prompt=True)
    else:
        word = sys.stdin.readline().rstrip("\n")
    try:
        click.echo(hashed(config.password(word)))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@cli.command()
@pass_context
def relink(context: Context) -> None:
    """Find anew, for all stored entries, which articles and stories they belong to; corrections stay."""
    with context.open() as aggregator:
        click.echo(f"{_count(aggregator.relink(), 'entry', 'entries')} linked anew")


def _show_matches(matches: Iterable["Match"]) -> None:
    for match in matches:
        click.echo(f"  {match.term!r} in the {match.field}, {match.start}-{match.end} (rule {match.rule})")


# ------------------------------------------------------------------------------------- topics


@cli.group(invoke_without_command=True)
@click.pass_context
def topics(context: click.Context) -> None:
    """List the topics; explain, try and apply their rules."""
    if context.invoked_subcommand is not None:
        return
    with context.obj.open() as aggregator:
        stale = aggregator.stale_topics()
        for topic in aggregator.ruleset.topics:
            click.echo(f"{click.style(topic.slug, bold=True)}: {topic.title}")
            for aspect in topic.aspects:
                click.echo(f"  {aspect.slug}: {aspect.title}")
            if topic.slug in stale:
                click.echo(
                    "  its rules have changed since the stored entries were tagged: topics backtest, retag"
                )


@topics.command()
@click.argument("words", metavar="[ENTRY-ID] [TOPIC]", nargs=-1)
@click.option(
    "--text", metavar="TEXT", help="Explain this text; its first line is the title. `-`: standard input."
)
@click.option("--all", "everything", is_flag=True, help="Also the rules that did not fire, and why.")
@pass_context
def explain(context: Context, words: Sequence[str], text: str | None, everything: bool) -> None:
    """Show why a text, or a stored entry, is tagged or not: rule by rule."""
    target: str | int
    if text is not None:
        target, rest = (sys.stdin.read() if text == "-" else text), list(words)
    elif words and words[0].isdecimal():
        target, rest = int(words[0]), list(words[1:])
    else:
        raise click.UsageError("give the id of an entry, or a text with --text")
    if len(rest) > 1:
        raise click.UsageError(f"one topic at a time; {rest[1]!r} is too much")
    with context.open() as aggregator:
        explanations = aggregator.explain(target, rest[0] if rest else None)
    for line in explanations:
        name = line.topic if line.aspect is None else f"{line.topic}/{line.aspect}"
        if line.rule is None:
            verdict = click.style("tagged", fg="green") if line.fired else "not tagged"
            click.echo(
                f"{click.style(name, bold=True)}: {verdict}, score {line.score:g} of {line.threshold:g} needed"
            )
        elif line.fired:
            click.echo(f"  {line.rule} {line.score:+g}")
            _show_matches(line.terms)
        elif everything:
            click.echo(f"  {line.rule} did not fire: {'; '.join(line.missing)}")


@topics.command()
@click.argument("topic", required=False)
@pass_context
def backtest(context: Context, topic: str | None) -> None:
    """Show what the present rules would change in the tags of the stored entries."""
    gained = lost = 0
    with context.open() as aggregator:
        for change in aggregator.backtest(topic):
            gained += bool(change.gained)
            lost += bool(change.lost)
            signs = [f"+{name}" for name in change.gained] + [f"-{name}" for name in change.lost]
            click.echo(f"{change.entry.id:>7}  {' '.join(signs)}  {change.entry.title}")
    click.echo(f"{_count(gained, 'entry', 'entries')} would gain tags, {lost} would lose some.")


@topics.command()
@pass_context
def retag(context: Context) -> None:
    """Tag all stored entries by the present rules; a running daemon need not stop."""
    with context.open() as aggregator:
        changed = aggregator.retag()
    click.echo(f"{_count(changed, 'entry', 'entries')} tagged anew.")


@topics.command("eval")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.argument("topic", required=False)
@click.option(
    "--show", type=click.IntRange(0), default=10, show_default=True, help="How many misses to list."
)
@pass_context
def evaluate(context: Context, file: TextIO, topic: str | None, show: int) -> None:
    """Measure the rules on labelled entries: one JSON object a line, with title, summary, content, lang, label."""
    items = []
    for number, line in enumerate(file, 1):
        try:
            item = json.loads(line)
        except ValueError as error:
            raise click.UsageError(f"{file.name}:{number}: not a JSON object: {error}") from None
        if not isinstance(item, dict) or not {"title", "label"} <= item.keys():
            raise click.UsageError(f"{file.name}:{number}: must be an object with a title and a label")
        items.append({"id": number, **item})
    with context.open() as aggregator:
        known = aggregator.ruleset.topics
        if topic is None and not known:
            raise click.UsageError("there is no topic; name one under topics: in feeds.yaml")
        quality = aggregator.evaluate(topic or known[0].slug, items)
    click.echo(f"{'':<24} {'precision':>9} {'recall':>9} {'F1':>9} {'entries':>9}")
    for name, figures in {"all": quality.total, **quality.languages, **quality.aspects}.items():
        n = (
            figures.true_positives
            + figures.false_positives
            + figures.false_negatives
            + figures.true_negatives
        )
        click.echo(f"{name:<24} {figures.precision:>9.3f} {figures.recall:>9.3f} {figures.f1:>9.3f} {n:>9}")
    for miss in quality.misses[:show]:
        kind = "missed" if miss.label else "wrongly tagged"
        click.echo(f"{kind:>14} {miss.score:>6.2f}  {miss.id} [{miss.language}] {miss.title}")


# ------------------------------------------------------------------------------------ data out


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@pass_context
def publish(context: Context, folder: Path | None) -> None:
    """Write every output feed as static files, into FOLDER (default: `publish: dir:`, or public)."""
    with context.open() as aggregator:
        files = aggregator.publish(folder or Path(aggregator.settings.publish_dir or "public"))
    written = [path for path, changed in files if changed]
    for path in written:
        click.echo(path)
    click.echo(f"{len(written)} of {_count(len(files), 'file')} written, the others are as they were")


_EXPORTS = ("entries", "articles", "stories", "daily", "tags", "attributions", "feeds", "polls")


@cli.command()
@click.argument("what", type=click.Choice(_EXPORTS), default="entries")
@click.option(
    "--format", "kind", type=click.Choice(["csv", "ndjson", "parquet"]), default="csv", show_default=True
)
@click.option("-o", "--output", type=click.File("wb", lazy=True), default="-", help="A file.")
@pass_context
def export(context: Context, what: str, kind: str, output: BinaryIO) -> None:
    """Write what is stored as CSV, NDJSON or Parquet (which needs aggregator[parquet])."""
    with context.open() as aggregator:
        aggregator.write_export(what, kind, output)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@pass_context
def backup(context: Context, file: Path) -> None:
    """Write a consistent, checked copy of the store while the daemon runs.

    A copy that is there already is replaced; any other file is left alone.
    """
    with context.open() as aggregator:
        aggregator.backup(file)
    click.echo(f"{file} is written and sound, {file.stat().st_size / 1e6:.1f} MB.")


# -------------------------------------------------------------------------------------- words


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _ago(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else f"{_span(now - moment)} ago"


def _until(moment: datetime, now: datetime) -> str:
    return "now" if moment <= now else f"in {_span(moment - now)}"


def _span(duration: timedelta) -> str:
    seconds = max(duration.total_seconds(), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _masked(url: str) -> str:
    """An address without the password in it."""
    from aggregator.text import masked

    return masked(url)


def _origin(entry: "StoredEntry") -> str:
    moment = entry.published_at or entry.first_seen_at
    source = "".join(f", source: {attribution.name}" for attribution in entry.attributions)
    return f"{entry.feed_title}, {moment:%Y-%m-%d %H:%M}, {entry.language or '?'}{source}  {entry.url or ''}"
