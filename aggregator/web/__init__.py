"""The web: output feeds for readers, one page for people, and nothing that changes anything.

`make_app` gives an ASGI application. Whatever the answer, its way out is the same, so every one of them,
errors included, carries the security headers. Nothing from a request reaches the file system, nothing
foreign is shown as anything but text, and there is no script.
"""

import asyncio
import base64
import binascii
import hmac
import json
import logging
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aggregator.errors import AggregatorError, ServeError, UnknownError
from aggregator.web.site import Site

__all__ = ["Guesses", "Site", "check_bind", "hosts_of", "make_app"]

_log = logging.getLogger(__name__)

_POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    b"base-uri 'none'; frame-ancestors 'none'"
)
_SECURITY = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_ANY_ADDRESS = "any address"
"""Among the names a server answers to: every numeric address. No name can be made to point at one."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def check_bind(host: str, token: str | None) -> None:
    """Refuse to serve others without a password.

    Args:
        host: the address or name to bind to.
        token: the password readers must give; None: there is none.

    Raises:
        ServeError: the address can be reached from other machines and there is no token.
    """
    if not token and not _is_loopback(host):
        raise ServeError(
            f"{host} can be reached from other machines, and no password is set. Set AGGREGATOR_TOKEN to a long "
            "random word, or bind to 127.0.0.1 and put a web server that checks passwords in front."
        )


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
    site: Site,
    *,
    hosts: frozenset[str] = _LOOPBACK,
    token: str | None = None,
    metrics: Callable[[], tuple[bytes, str]] | None = None,
) -> Any:
    """The ASGI application.

    Args:
        site: what it shows.
        hosts: names the `Host` header may carry, lower-case, without ports (see `hosts_of`).
        token: needed by every route but `/healthz`, as the password of HTTP Basic (with any user name) or as
            `?token=`; None: everything is open.
        metrics: gives what `/metrics` answers and its media type; None: there is no such page.
    """
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route, Router
    from starlette.types import Message, Receive, Scope, Send

    from aggregator.web.feeds import Feeds, header, send_document
    from aggregator.web.pages import Pages, static_files

    pages = Pages(site)
    feeds = Feeds(site, pages.feed, private=token is not None)
    guesses = Guesses()
    static = static_files(Path(__file__).parent / "static")

    async def opml(_: Request) -> Response:
        body = await run_in_threadpool(site.opml)
        attachment = {
            "Content-Disposition": 'attachment; filename="aggregator.opml"',
            "Cache-Control": "no-cache",
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

    async def nothing_here(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise UnknownError("There is no page at this address.")

    router = Router(
        [
            Route("/", pages.home),
            Route("/opml", opml),
            Route("/healthz", healthz),
            Route("/metrics", numbers),
        ],
        redirect_slashes=False,
        default=nothing_here,
    )

    def refusal(scope: Scope) -> Any:
        """The answer to a request that goes no further, or None."""
        host = header(scope, b"host") or ""
        name = _host_name(host)
        if name not in hosts and not (_ANY_ADDRESS in hosts and _is_address(name)):
            return pages.error(
                scope,
                400,
                "Not the name of this server",
                f"This server does not answer to “{name}”. If readers reach it under that name, say so in "
                "feeds.yaml: public_url.",
            )
        if scope["method"] not in {"GET", "HEAD"}:
            return pages.error(scope, 405, "Only for reading", "Use GET or HEAD.", {"Allow": "GET, HEAD"})
        if (
            token
            and scope["path"] != "/healthz"
            and not _knows(scope, header(scope, b"authorization"), token)
        ):
            challenge = {"WWW-Authenticate": 'Basic realm="aggregator", charset="UTF-8"'}
            return pages.error(
                scope,
                401,
                "A password is needed",
                "Give the token as the password, with any user name, or add ?token=… to the address.",
                challenge,
            )
        return None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await router(scope, receive, send)
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], *_SECURITY]
            await send(message)

        try:
            path = scope["path"]
            client = (scope.get("client") or ("",))[0]
            answer = refusal(scope)
            if token and path != "/healthz" and _given(scope, header(scope, b"authorization")) is not None:
                if answer is None:
                    guesses.right(client)
                else:
                    await asyncio.sleep(guesses.wrong(client))
            if answer:
                await answer(scope, receive, guarded)
            elif path.startswith("/feeds/"):
                await feeds(scope, receive, guarded)
            elif document := static.get(path):
                await send_document(scope, guarded, document, {"Cache-Control": "max-age=3600"})
            else:
                await router(scope, receive, guarded)
        except Exception as error:
            if started:
                raise
            if isinstance(error, UnknownError):
                answer = await pages.unknown(scope, str(error))
            elif isinstance(error, AggregatorError):
                _log.warning("%s: %s", scope["path"], error)
                text = "The news cannot be read at the moment. Try again soon; the log says what is wrong."
                answer = pages.error(scope, 503, "Not now", text, {"Retry-After": "30"})
            else:
                _log.exception("cannot answer %s", scope["path"])
                answer = pages.error(
                    scope, 500, "A fault of ours", "Something went wrong here; it has been logged."
                )
            await answer(scope, receive, guarded)

    return app


def _host_name(host: str) -> str:
    """The name in a `Host` header: lower-case, without port, brackets or a final dot."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


class Guesses:
    """Slows down who guesses at the token: each wrong one doubles the wait, up to five seconds."""

    FIRST, LONGEST, CLIENTS = 0.05, 5.0, 1_000

    def __init__(self) -> None:
        self._wrong: dict[str, int] = {}

    def wrong(self, client: str) -> float:
        """Count a wrong token; returns for how many seconds its answer is to wait."""
        times = self._wrong.pop(client, 0)
        self._wrong[client] = times + 1
        if len(self._wrong) > self.CLIENTS:
            del self._wrong[next(iter(self._wrong))]  # who has been quiet for longest
        return min(self.FIRST * 2.0 ** min(times, 16), self.LONGEST)

    def right(self, client: str) -> None:
        """Forget a client's wrong tokens."""
        self._wrong.pop(client, None)


def _knows(scope: Any, authorization: str | None, token: str) -> bool:
    """Whether a request brings the token; takes as long whether it is nearly right or quite wrong."""
    given = _given(scope, authorization) or ""
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())


def _given(scope: Any, authorization: str | None) -> str | None:
    """The token that a request brings, right or wrong."""
    kind, _, value = (authorization or "").partition(" ")
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    found = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    return found[0] if found else None
