"""The web: output feeds for readers, pages for people, an API for programs.

`make_app` gives an ASGI application. Every request comes in by one gate (the name of the server, the method, who
asks), and every answer goes out by one, so each of them, errors included, carries the security headers. What
changes something is listed in one place, behind one guard. Nothing from a request reaches the file system.

    auth      who may enter, and the guard before every change
    safety    headers, and foreign HTML made fit to show
    feeds     output feeds;   pages    for people;   api    for programs
"""

import json
import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from aggregator.app import Aggregator
from aggregator.errors import AggregatorError, ConfigError, Problem, QueryError, UnknownError
from aggregator.push import Push

__all__ = ["check_bind", "hosts_of", "make_app"]

_log = logging.getLogger(__name__)

_ANY_ADDRESS = "any address"
"""Among the names a server answers to: every numeric address. No name can be made to point at one."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FOR_ALL = frozenset({"/healthz", "/login"})
"""What needs no password, beside the style sheet of the login page."""


def check_bind(host: str, *secrets: str | None) -> None:
    """Refuse to serve others without a password.

    Args:
        host: the address or name to bind to.
        secrets: the password and the token; None: not set.

    Raises:
        ConfigError: the address can be reached from other machines, and none of them is set.
    """
    if not any(secrets) and not _is_loopback(host):
        message = (
            f"{host} can be reached from other machines, and no password is set. Name one in feeds.yaml "
            "(web: password: env:NAME), or set AGGREGATOR_TOKEN to a long random word, or bind to 127.0.0.1 and put a "
            "web server that checks passwords in front."
        )
        raise ConfigError([Problem("--host", None, "", message)])


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def hosts_of(host: str, public_url: str | None = None) -> frozenset[str]:
    """The names under which a server bound to `host` is asked for: what the `Host` header may say.

    A page of somebody else's whose name is made to point at this machine (DNS rebinding) is not among them.
    """
    names = {*_LOOPBACK, host.strip("[]").lower()}
    if _is_address(host) and ip_address(host.strip("[]")).is_unspecified:
        names.add(_ANY_ADDRESS)  # bound to all of the machine's addresses, whichever they are
    if public_url and (public := urlsplit(public_url).hostname):
        names.add(public)
    return frozenset(names)


def make_app(
    site: Aggregator,
    *,
    hosts: frozenset[str] = _LOOPBACK,
    token: str | None = None,
    metrics: Callable[[], tuple[bytes, str]] | None = None,
    push: Callable[[], Push | None] = lambda: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Any:
    """The ASGI application.

    Args:
        site: what it shows; its settings say whether there is a password.
        hosts: names the `Host` header may carry, lower-case, without ports (see `hosts_of`).
        token: lets readers in; None: there is none. Where there is no password either, everything is open.
        stopping: whether the server is about to end, so that connections which only wait are to end, too.
        push: gives what answers at `/hub` and below `/push/`; None: nothing yet.
        metrics: gives what `/metrics` answers and its media type; None: there is no such page.

    Raises:
        ConfigError: the password in the settings cannot be used.
    """
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import RedirectResponse, Response
    from starlette.routing import Match, Route, Router
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from aggregator.web import safety
    from aggregator.web.api import Api
    from aggregator.web.auth import Access, Change, Form, RefusedError, Visitor, host_name, local
    from aggregator.web.feeds import Feeds, coded, header, send_document
    from aggregator.web.hub import HubPages
    from aggregator.web.live import PATH as LIVE
    from aggregator.web.live import Live
    from aggregator.web.pages import Pages, static_files

    settings = site.settings
    access = Access(
        settings.web.password, token, https=(settings.public_url or "").lower().startswith("https:")
    )
    pages = Pages(site)
    feeds = Feeds(site, pages.feed, pages.error, private=not access.is_open)
    api = Api(site)
    hub = HubPages(push, lambda: site.settings.fetch.max_bytes)
    static = static_files(Path(__file__).parent / "static")
    secured = lru_cache(maxsize=2)(safety.headers)

    async def opml(request: Request) -> Response:
        body, coding = coded(request.scope, await run_in_threadpool(site.opml))
        attachment = {
            "Content-Disposition": 'attachment; filename="aggregator.opml"',
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
            **coding,
        }
        return Response(body, media_type="text/x-opml; charset=utf-8", headers=attachment)

    async def healthz(_: Request) -> Response:
        health = await run_in_threadpool(site.health)
        body = json.dumps({"ok": health.ok, "reasons": health.reasons}, ensure_ascii=False)
        return Response(
            body,
            status_code=200 if health.ok else 503,
            media_type="application/json; charset=utf-8",
            headers={"Cache-Control": "no-store"},
        )

    async def numbers(_: Request) -> Response:
        if metrics is None:
            raise UnknownError("There is no page at this address.")
        body, media_type = await run_in_threadpool(metrics)
        return Response(body, headers={"Content-Type": media_type, "Cache-Control": "no-store"})

    async def login(request: Request) -> Response:
        target = local(request.query_params.get("to", "/"))
        if access.is_open:
            return RedirectResponse(target, HTTPStatus.SEE_OTHER)
        if request.method != "POST":
            return pages.login(request.scope, target, access.form_token(None))
        form = await access.form(request, None)
        target = local(form.get("to", "/"))
        cookie = await access.log_in(request.scope, form.get("password", ""))
        if cookie is None:
            return pages.login(request.scope, target, access.form_token(None), wrong=True)
        return RedirectResponse(
            target, HTTPStatus.SEE_OTHER, {"Set-Cookie": cookie, "Cache-Control": "no-store"}
        )

    async def logout(request: Request, _: Form) -> Response:
        cookie = access.log_out(request.scope)
        return RedirectResponse(
            "/login", HTTPStatus.SEE_OTHER, {"Set-Cookie": cookie, "Cache-Control": "no-store"}
        )

    async def nothing_here(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise UnknownError("There is no page at this address.")

    changes: Mapping[str, Change] = {"/logout": logout, **pages.changes()}
    router = Router(
        [
            *pages.routes(),
            Route(LIVE, Live(site.version, stopping), methods=["GET"]),
            Route("/opml", opml),
            Route("/healthz", healthz),
            Route("/metrics", numbers),
            Route("/login", login, methods=["GET", "POST"]),
            *(Route(path, access.guarded(change), methods=["POST"]) for path, change in changes.items()),
        ],
        redirect_slashes=False,
        default=nothing_here,
    )

    def check_host(scope: Scope) -> None:
        name = host_name(header(scope, b"host") or "")
        if name not in hosts and not (_ANY_ADDRESS in hosts and _is_address(name)):
            raise RefusedError(
                HTTPStatus.BAD_REQUEST,
                "Not the name of this server",
                f"This server does not answer to “{name}”. If readers reach it under that name, say so in "
                "feeds.yaml: public_url.",
            )

    def room(path: str) -> ASGIApp:
        if path == "/hub":
            return hub
        if path == "/feeds" or path.startswith(("/feeds/", "/feeds.")):
            return feeds
        return api if api.serves(path) else router

    def check_method(scope: Scope, room: ASGIApp) -> None:
        allowed = {"GET", "HEAD"}
        if room is router:
            routes = (route for route in router.routes if isinstance(route, Route))
            found = [route.methods or () for route in routes if route.matches(scope)[0] is not Match.NONE]
            allowed = set().union(*found) or allowed
        if scope["method"] not in allowed:
            allow = ", ".join(sorted(allowed))
            raise RefusedError(
                HTTPStatus.METHOD_NOT_ALLOWED, "Not this way", f"Use {allow}.", {"Allow": allow}
            )

    def check_visitor(scope: Scope, visitor: Visitor | None) -> ASGIApp | None:
        """The way to the login page for a person who has not been let in; a program is refused."""
        if visitor is not None or scope["path"] in _FOR_ALL:
            return None
        if pages.is_for_person(scope):
            given = parse_qsl(scope["query_string"].decode("latin-1"))
            query = urlencode([(name, value) for name, value in given if name != "token"])
            target = quote(scope["path"]) + ("?" + query if query else "")
            to = quote(target if scope["method"] in {"GET", "HEAD"} else "/", safe="")
            headers = {"Cache-Control": "no-store", "Vary": "Accept"}
            return RedirectResponse(f"/login?to={to}", HTTPStatus.SEE_OTHER, headers)
        raise RefusedError(
            HTTPStatus.UNAUTHORIZED,
            "A password is needed",
            "Give the password or the token as the password of HTTP Basic, with any user name, or add ?token=… to the "
            "address.",
            {"WWW-Authenticate": 'Basic realm="aggregator", charset="UTF-8"'},
        )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await router(scope, receive, send)
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if not started:
                started = True
                message["headers"] = [*message["headers"], *secured(site.settings.web.images)]
            await send(message)

        path = scope["path"]
        answer = room(path)
        try:
            check_host(scope)
            if path.startswith("/push/"):  # its address is the password: hubs are given no other
                await hub(scope, receive, guarded)
                return
            if answer is not hub:
                check_method(scope, answer)
            if document := static.get(path):
                await send_document(scope, guarded, document, {"Cache-Control": "max-age=3600"})
                return
            visitor = await access.visitor(scope)
            scope["state"] = {"visitor": visitor, "csrf": access.form_token(visitor)}
            answer = check_visitor(scope, visitor) or answer
            await answer(scope, receive, guarded)
        except Exception as error:
            if started:
                raise
            error_page = api.error if api.serves(path) else pages.error
            if isinstance(error, RefusedError):
                answer = error_page(scope, error.status, error.title, str(error), error.headers)
            elif isinstance(error, UnknownError):
                answer = await pages.unknown(scope, str(error))
            elif isinstance(error, QueryError):
                answer = error_page(scope, 400, "Not a question we can answer", str(error))
            elif isinstance(error, AggregatorError):
                _log.warning("%s: %s", path, error)
                text = "The news cannot be read at the moment. Try again soon; the log says what is wrong."
                answer = error_page(scope, 503, "Not now", text, {"Retry-After": "30"})
            else:
                _log.exception("cannot answer %s", path)
                text = "Something went wrong here; it has been logged."
                answer = error_page(scope, 500, "A fault of ours", text)
            await answer(scope, receive, guarded)

    return app
