"""Trend: how much the press tells of a topic, day by day, and what happened on the days that stand out."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aggregator import trends
from aggregator.errors import UnknownError
from aggregator.model import Leading, TrendDay
from aggregator.publish import line
from aggregator.store.trends import ALL
from aggregator.web.pages import chart
from aggregator.web.pages.cards import language_of
from aggregator.web.pages.frame import Frame, asked, route

PERIODS = {30: "30 days", 90: "90 days", 365: "a year"}
"""How far back one may look; the second is what one sees first."""
USUAL = 90
TOLD = 12
"""So many unusual days are told of, the newest first."""
STORIES, SOURCES = 3, 15
WEEK = 7


Line = Sequence[tuple[date, float | None]]
"""Values by day; None: the day has none."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """A day that stands out, and the stories that made it."""

    day: TrendDay
    leading: tuple[Leading, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """A topic in one language.

    Attributes:
        code: `all` is all of them together. name: of the language.
        lately: mean of the index in the last week. articles: on the topic in the period, of `total`.
    """

    code: str
    name: str
    lately: float | None
    articles: int
    total: int


class Trend:
    """The index of a topic, as a page and as CSV."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._site = frame, frame.site

    def routes(self) -> list[Route]:
        """What can be looked at."""
        return [route("/trend", self.page), route("/trend.csv", self.csv)]

    def page(self, request: Request) -> Response:
        """Charts, the unusual days and what happened on them, languages, sources, and all numbers."""
        scope = request.scope
        etag = self._frame.version_tag(scope)
        if answer := self._frame.unchanged(scope, etag):
            return answer
        titles, given = self._site.topic_titles(), asked(scope)
        if not titles:
            return self._frame.page(scope, "trend.html", {**_NOTHING, "topics": ()}, etag=etag)
        topic = self._topic(given)
        period = next((days for days in PERIODS if given.get("days") == str(days)), USUAL)
        today = self._frame.now.date()  # is not over: a morning's few articles say little
        first = today - timedelta(days=period)
        known = self._site.trend_languages(topic)
        language = given.get("language", ALL)
        if language != ALL and language not in known:
            raise UnknownError(
                f"There is no index in this language; there is one in: {', '.join(known) or 'none yet'}."
            )
        by_language = {
            code: tuple(day for day in self._site.daily(topic, language=code, since=first) if day.day < today)
            for code in known or (ALL,)
        }
        days = by_language.get(language, ())
        baseline = self._site.trend_baseline(topic, language)
        found = trends.unusual(days)
        unusual = [
            Unusual(day, self._site.leading(topic, day.day, language=language, limit=STORIES))
            for day in reversed(found[-TOLD:])
        ]
        values = {
            **_NOTHING,
            "topics": [(slug, title, slug == topic) for slug, title in titles.items()],
            "topic": topic,
            "title": titles[topic],
            "periods": PERIODS,
            "period": period,
            "language": language,
            "days": days,
            "told": any(day.index_value is not None for day in days),
            "charts": _charts(titles[topic], days, unusual),
            "lately": lately(days),
            "baseline": baseline and f"{_date(baseline.first)} to {_date(baseline.last)}",
            "unusual": unusual,
            "found": len(found),
            "languages": [_language(code, told) for code, told in by_language.items()],
            "sources": self._site.trend_feeds(topic, since=first, before=today, limit=SOURCES),
        }
        return self._frame.page(scope, "trend.html", values, etag=etag)

    def csv(self, request: Request) -> Response:
        """Every day of a topic in every language: the rows of `topic_daily`."""
        given = asked(request.scope)
        topic = self._topic(given)
        table = io.StringIO()
        names = [field.name for field in fields(TrendDay)]
        writer = csv.writer(table)
        writer.writerow(names)
        for code in self._site.trend_languages(topic) or (ALL,):
            for day in self._site.daily(topic, language=code):
                writer.writerow([getattr(day, name) for name in names])
        headers = {
            "Content-Disposition": f'attachment; filename="{topic}.csv"',
            "Cache-Control": "private, no-cache",
        }
        return Response(table.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")

    def _topic(self, given: Mapping[str, str]) -> str:
        titles = self._site.topic_titles()
        topic = given.get("topic", next(iter(titles), ""))
        if topic not in titles:
            raise UnknownError(
                f"There is no topic “{line(topic, 80)}”; there are: {', '.join(titles) or 'none'}."
            )
        return topic


_NOTHING: Mapping[str, object] = {
    "section": "trend", "heading": "Trend", "topic": None, "title": "", "told": False, "charts": (), "unusual": (), "found": 0,
    "languages": (), "sources": (), "days": (), "lately": None, "baseline": None, "periods": PERIODS, "period": USUAL, "language": "all",
}  # fmt: skip


def lately(days: Sequence[TrendDay]) -> float | None:
    """The mean of the index in the last week that it has; None: it has none."""
    known = [day.index_value for day in days if day.index_value is not None][-WEEK:]
    return sum(known) / len(known) if known else None


def _language(code: str, days: Sequence[TrendDay]) -> Language:
    name = "All languages" if code == ALL else language_of(code) or code
    return Language(
        code, name, lately(days), sum(day.articles for day in days), sum(day.total_articles for day in days)
    )


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, what it is called, and what its lines are: a CSS class and a name each."""

    name: str
    svg: Markup
    lines: Mapping[str, str]


def _charts(title: str, days: Sequence[TrendDay], unusual: Sequence[Unusual]) -> tuple[Chart, ...]:
    """The index, and that of threats and acts apart where there is one."""
    index = _line(days, "index_value")
    known = [(day, value) for day, value in index if value is not None]
    if len(known) < 2:
        return ()
    top, most = max(known, key=lambda one: one[1])
    points = [
        chart.Point(
            one.day.day, value, f"{_date(one.day.day)}: {value:.0f}, an unusual day", f"#day-{one.day.day}"
        )
        for one in reversed(unusual)
        if (value := one.day.index_value) is not None
    ]
    said = (
        f"Daily index of {title} from {_date(known[0][0])} to {_date(known[-1][0])}; 100 is the mean of its baseline. "
        f"It stood highest on {_date(top)}, at {most:.0f}, and last at {known[-1][1]:.0f}. "
        f"Days marked as unusual: {len(points)}."
    )
    lines: dict[str, Line] = {
        "daily": index,
        "weekly": smoothed(index),
        "baseline": [(known[0][0], 100.0), (known[-1][0], 100.0)],
    }
    svg = chart.daily(f"{title}: daily index", lines, description=said, points=points)
    found = [
        Chart("The index", svg, {"daily": "each day", "weekly": "mean of seven days", "baseline": "100"})
    ]
    sides: dict[str, Line] = {
        "weekly": smoothed(_line(days, "threats_value")),
        "acts": smoothed(_line(days, "acts_value")),
    }
    if all(sum(value is not None for _, value in side) >= 2 for side in sides.values()):
        said = "Two lines: the index of articles that tell of threats, and that of articles that tell of acts, as means of seven days."
        svg = chart.daily(f"{title}: threats and acts", sides, description=said)
        found.append(
            Chart("Threats and acts, means of seven days", svg, {"weekly": "threats", "acts": "acts"})
        )
    return tuple(found)


def smoothed(line: Line) -> Line:
    """Each day's mean with the six before it, where most of them have a value."""
    result: list[tuple[date, float | None]] = []
    for number, (day, _) in enumerate(line):
        known = [
            value
            for before, value in line[max(number - WEEK + 1, 0) : number + 1]
            if value is not None and (day - before).days < WEEK
        ]
        result.append((day, round(sum(known) / len(known), 1) if len(known) > WEEK // 2 else None))
    return result


def _line(days: Sequence[TrendDay], name: str) -> Line:
    return [(day.day, None if (value := getattr(day, name)) is None else round(value, 1)) for day in days]


def _date(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
