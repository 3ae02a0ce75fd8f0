"""What all pages have in common: templates, the frame around them, and how they are sent."""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from aggregator.app import Aggregator
from aggregator.errors import UnknownError
from aggregator.model import OutputFeed, Selection, Settings
from aggregator.output import MADE
from aggregator.publish import EVERYTHING, Format, query_of, title_of
from aggregator.web.feeds import coded, header, not_modified
from aggregator.web.pages.cards import age, host_of, span
from aggregator.web.safety import shown

TEMPLATES = Path(__file__).parent.parent / "templates"
STEP = timedelta(minutes=5)
"""Ages are told in these steps, so that a page stays the same for so long."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Frame:
    """Makes pages of templates and values.

    Args:
        site: what they show.
    """

    def __init__(self, site: Aggregator) -> None:
        self.site = site
        self._salted: tuple[Settings | None, bytes] = (None, b"")
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        self._templates.filters |= {
            "day": lambda time: f"{time:%A}, {time.day} {time:%B %Y}",
            "clock": lambda time: f"{time:%H:%M}",
            "moment": lambda time: (
                f"{time.day} {time:%b}{'' if time.year == self.now.year else f' {time.year}'} {time:%H:%M}"
            ),
            "iso": lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}",
            "date": lambda day: f"{day:%A}, {day.day} {day:%B %Y}",
            "age": lambda time, now: age(now - time),
            "span": span,
            "count": lambda number, one, many=None: f"{number:,} {one if number == 1 else many or one + 's'}",
            "foreign": lambda html: shown(html, site.settings.web.images),
            "host": host_of,
        }
        for name in self._templates.list_templates():
            self._templates.get_template(name)  # compiled now, not while the first reader waits

    @property
    def now(self) -> datetime:
        """The time, in the steps in which ages are told."""
        now = self.site.clock()
        return now - (now - _EPOCH) % STEP

    def version_tag(self, scope: Scope) -> str:
        """An `ETag` for a page that is made of entries alone, known before it is made.

        It holds for what the store's version, the time, the configuration and the visitor decide.
        """
        settings, salt = self._salted
        if settings is not self.site.settings:
            salt = secrets.token_bytes(16)
            self._salted = self.site.settings, salt
        state = (
            self.site.version(),
            self.now,
            scope["path"],
            scope["query_string"],
            scope.get("state", {}).get("csrf"),
            scope.get("state", {}).get("visitor"),
        )
        return f'"{blake2b(repr(state).encode(), key=salt, digest_size=16).hexdigest()}"'

    def unchanged(self, scope: Scope, etag: str) -> Response | None:
        """304, where the client has the page of this tag."""
        if not not_modified(header(scope, b"if-none-match"), None, etag, _EPOCH):
            return None
        return Response(status_code=304, headers={"ETag": f"W/{etag}", **_PRIVATE})

    def page(
        self,
        scope: Scope,
        template: str,
        values: Mapping[str, Any],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        etag: str | None = None,
    ) -> Response:
        """An answer made of a template.

        Args:
            scope: of the request.
            template: its file name.
            values: what it shows.
            status: of the answer.
            headers: beside the usual ones.
            etag: known already; None: it is made of the page.
        """
        token = _token(scope) if status < 400 else None
        # What its forms must say, and whether there is a session to end (see `auth`).
        state = scope.get("state", {})
        titles = self.site.topic_titles()
        # Who has not been let in is not told what is watched here.
        known = state.get("visitor") is not None and len(titles) == 1
        common = {
            "csrf": state.get("csrf", ""),
            "visitor": state.get("visitor"),
            "token": token,
            "link": _linker(token),
            "brand": next(iter(titles.values())) if known else "Aggregator",
            "outputs": [],
            "section": None,
            "now": self.now,
        }
        if status < 400:
            common["outputs"] = [(output, title_of(output, titles)) for output in self.site.output_names()]
        body = self._templates.get_template(template).render({**common, **values}).encode()
        headers = {**_PRIVATE, **(headers or {})}
        if status >= 400:
            headers |= {"Cache-Control": "no-store"}
        elif "ETag" not in headers and headers["Cache-Control"] != "no-store":
            etag = etag or f'"{blake2b(body, digest_size=16).hexdigest()}"'
            if answer := self.unchanged(scope, etag):
                return answer
            headers["ETag"] = f"W/{etag}"
        body, coding = coded(scope, body)
        return Response(body, status, {**headers, **coding}, media_type="text/html; charset=utf-8")

    async def changed(self, request: Request, change: Callable[[], None], to: str) -> Response:
        """Do what a form asks for, then lead to the page that shows it."""
        await run_in_threadpool(change)
        return RedirectResponse(
            _linker(_token(request.scope))(to), HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"}
        )


@dataclass(frozen=True, slots=True)
class Address:
    """Where a list can be subscribed to.

    Attributes:
        page: for people, and for readers that look for feeds themselves.
        formats: each with its address.
    """

    page: str
    formats: tuple[tuple[Format, str], ...]


def subscribed_at(outputs: Iterable[OutputFeed], selection: Selection) -> Address:
    """The addresses of the feed that holds what a list holds: one of the configuration's, or one for the asking."""
    wanted = replace(EVERYTHING, **{each.name: getattr(selection, each.name) for each in fields(Selection)})
    for output in outputs:
        same = all(getattr(output, each.name) == getattr(wanted, each.name) for each in fields(Selection))
        if same and output not in MADE:
            base, query = f"/feeds/{output.name}", ""
            break
    else:
        base, query = "/feeds", query_of(wanted, EVERYTHING)
    query = query and f"?{query}"
    return Address(base + query, tuple((each, f"{base}.{each}{query}") for each in Format))


def route(path: str, build: Callable[[Request], Response]) -> Route:
    """A page that is built in a thread of its own, for to build it reads the store."""

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(build, request)

    return Route(path, endpoint)


def given(scope: Scope) -> list[tuple[str, str]]:
    """The parameters of an address, without those left empty, as a form leaves them."""
    found = parse_qsl(scope["query_string"].decode("latin-1"))
    return [(name, value) for name, value in found if name != "token"]


def asked(scope: Scope) -> dict[str, str]:
    """The same by name; of several the last counts."""
    return dict(given(scope))


def number_in(request: Request) -> int:
    """The number in a path. Raises UnknownError where there is none that could be an id."""
    word = request.path_params["id"]
    if not (re.fullmatch("[0-9]{1,19}", word) and int(word) <= _LARGEST):
        raise UnknownError("There is no page at this address.")
    return int(word)


def _token(scope: Scope) -> str | None:
    """Who came with the token in the address has no other way to show it on the next page."""
    return dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token")


def _linker(token: str | None) -> Callable[..., str]:
    def link(address: str, **query: object) -> str:
        given = {name: value for name, value in query.items() if value is not None}
        if token:
            given["token"] = token
        joint = "&" if "?" in address else "?"
        return address + (joint + urlencode(given, quote_via=quote) if given else "")

    return link


_LARGEST = 2**63 - 1
_PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Encoding, Cookie"}
