"""Who may enter, and what they may do: passwords, sessions, the readers' token, and the guard before every change.

Three ways lead in where a secret is set: a session (a cookie, after the login page), HTTP Basic with any user name,
and, for feed readers that know no passwords, `?token=`. The token is for reading alone as soon as there is a
password; without one it opens everything. Where neither is set, everybody who can reach the server may do
everything: it is then bound to loopback.

Sessions live in memory: to log out ends one for good, to restart ends them all, and there is no key to lose.
"""

import asyncio
import base64
import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from aggregator.errors import AggregatorError, ConfigError, Problem
from aggregator.web.feeds import header

if TYPE_CHECKING:
    from argon2 import PasswordHasher

COOKIE = "aggregator_session"
SESSION = 30 * 86_400
"""How long a session lasts, in seconds."""
SESSIONS = 1_000
"""So many at once; a further one ends the oldest."""
FORM_BYTES = 16_384
"""A form that is larger is not read."""
QUEUE = 4
"""So many passwords wait to be checked, beside the one that is."""
PAUSE = 0.2
"""Seconds between a wrong password and the next check of any: guessing takes a tenth of a core at most."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::\d*)?", re.ASCII)
"""RFC 9110 §7.2: a name or an address, and a port."""

Form = Mapping[str, str]
Change = Callable[[Request, Form], Awaitable[Response]]
"""A route that changes something: it gets the request and the fields of its form."""


class RefusedError(AggregatorError):
    """A request that goes no further.

    Attributes:
        status: of the answer. title, str(self): what is wrong and what would be right, for people.
        headers: of the answer, beside the usual ones.
    """

    def __init__(
        self, status: HTTPStatus, title: str, text: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status, self.title, self.headers = status, title, dict(headers or {})


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who was let in.

    Attributes:
        may_change: or only read.
        session: the id of the session; None: this is no visit of a session.
    """

    may_change: bool
    session: str | None = None


_ANYBODY = Visitor(may_change=True)


def hashed(password: str) -> str:
    """A password's argon2id hash, with the costs that OWASP recommends for small servers (19 MiB, two passes)."""
    return _hasher().hash(password)


def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _verified(hash_: str, password: str) -> bool:
    from argon2.exceptions import VerificationError

    try:
        return _hasher().verify(hash_, password)
    except VerificationError:
        return False


class Guesses:
    """Slows down who guesses: each wrong word doubles the wait for its answer, up to five seconds.

    While `OWED` such answers wait, their client gets no further one, so that many connections guess no faster.
    """

    FIRST, LONGEST, OWED, CLIENTS = 0.05, 5.0, 4, 1_000

    def __init__(self) -> None:
        self._wrong: dict[str, int] = {}
        self._owed: dict[str, int] = {}

    def check(self, client: str) -> None:
        """Raises RefusedError (429) where too many answers are owed to a client."""
        if self._owed.get(client, 0) >= self.OWED:
            raise _slow_down(self.LONGEST)

    async def wrong(self, client: str) -> None:
        """Count a wrong word, and wait until it may be said that it was wrong."""
        seconds = self.count(client)
        self._owed[client] = self._owed.get(client, 0) + 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._owed[client] -= 1
            if not self._owed[client]:
                del self._owed[client]

    def count(self, client: str) -> float:
        """Count a wrong word; returns for how many seconds its answer is to wait."""
        times = self._wrong.pop(client, 0)
        self._wrong[client] = times + 1
        if len(self._wrong) > self.CLIENTS:
            del self._wrong[next(iter(self._wrong))]  # who has been quiet for longest
        return min(self.FIRST * 2.0 ** min(times, 16), self.LONGEST)

    def right(self, client: str) -> None:
        """Forget a client's wrong words."""
        self._wrong.pop(client, None)


class Access:
    """Knows who may enter.

    Args:
        password: an argon2 hash, or a plain word; None: there is none.
        token: the readers' token; None: there is none.
        https: readers reach us by https alone, so cookies are never to be sent otherwise.
        clock: seconds that only grow.

    Raises:
        ConfigError: `password` looks like a hash and cannot be used as one, or is that of an empty word.
    """

    def __init__(
        self,
        password: str | None = None,
        token: str | None = None,
        *,
        https: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hash = None if password is None else _usable(password)
        self._token = token
        self._https = https
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._form_token = lru_cache(maxsize=256)(self._token_of)
        self._right = b""  # of the password that was right; to compare with it costs nothing
        self._sessions: dict[str, float] = {}
        self._guesses = Guesses()
        self._checking = asyncio.Lock()
        self._queued = 0

    @property
    def is_open(self) -> bool:
        """Nobody is asked for anything."""
        return self._hash is None and not self._token

    # ----------------------------------------------------------------------------------- who asks

    async def visitor(self, scope: Scope) -> Visitor | None:
        """Who asks; None: nobody who may enter. A wrong password or token waits for its answer.

        Raises:
            RefusedError: too many wrong ones (429).
        """
        if self.is_open:
            return _ANYBODY
        for session in cookies(scope, COOKIE):
            if self._sessions.get(session, 0.0) > self._clock():
                return Visitor(may_change=True, session=session)
        password, token = _basic(scope), _parameter(scope, "token")
        if password is None and token is None:
            return None
        return await self._judged(client_of(scope), password, token)

    async def _judged(self, client: str, password: str | None, token: str | None) -> Visitor | None:
        """Whom these words let in; a wrong one has waited when this is known."""
        self._guesses.check(client)
        if self._is_token(token) or self._is_token(password):
            found = Visitor(may_change=self._hash is None)
        elif password is not None and await self._is_password(password):
            found = Visitor(may_change=True)
        else:
            await self._guesses.wrong(client)
            return None
        if found.may_change:  # else the token would help to guess the password
            self._guesses.right(client)
        return found

    def _is_token(self, word: str | None) -> bool:
        return bool(self._token) and _same(word or "", self._token or "")

    async def _is_password(self, word: str) -> bool:
        if self._hash is None:
            return False
        mark = blake2b(word.encode(errors="replace"), key=self._key).digest()
        if hmac.compare_digest(mark, self._right):
            return True
        if self._queued > QUEUE:
            raise _slow_down(PAUSE * QUEUE)
        self._queued += 1
        try:
            async with self._checking:
                if not await run_in_threadpool(_verified, self._hash, word):
                    await asyncio.sleep(PAUSE)
                    return False
        finally:
            self._queued -= 1
        self._right = mark
        return True

    # ----------------------------------------------------------------------------------- sessions

    async def log_in(self, scope: Scope, word: str) -> str | None:
        """Begin a session; the one that the client had ends.

        Args:
            scope: of the request.
            word: what was given as the password; without one, the token opens everything.

        Returns:
            The value of a `Set-Cookie` header; None: that is not the password.

        Raises:
            RefusedError: too many wrong ones (429).
        """
        visitor = await self._judged(client_of(scope), word, None)
        if visitor is None or not visitor.may_change:
            return None
        self.log_out(scope)
        session, now = secrets.token_urlsafe(32), self._clock()
        self._sessions = {key: end for key, end in self._sessions.items() if end > now}
        if len(self._sessions) >= SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session] = now + SESSION
        return self._cookie(scope, session, SESSION)

    def log_out(self, scope: Scope) -> str:
        """End the client's session; returns the value of the `Set-Cookie` header that makes it forget the cookie."""
        for session in cookies(scope, COOKIE):
            self._sessions.pop(session, None)
        return self._cookie(scope, "", 0)

    def _cookie(self, scope: Scope, value: str, seconds: int) -> str:
        # Lax, not Strict: a link from a feed reader to one of our pages is to find its reader logged in.
        secure = "; Secure" if self._https or scope.get("scheme") == "https" else ""
        return f"{COOKIE}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}"

    # ----------------------------------------------------------------------------------- changes

    def form_token(self, visitor: Visitor | None) -> str:
        """What the field `csrf` of a visitor's forms must say; nobody's (None) is that of the login page."""
        return self._form_token("nobody" if visitor is None else f"visitor {visitor.session or ''}")

    def _token_of(self, holder: str) -> str:
        return blake2b(holder.encode(), key=self._key, digest_size=16).hexdigest()

    def guarded(self, change: Change) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of a route that changes something: everything is checked before `change` is called.

        The visitor must be allowed to, the request must come from a page of ours (its `Sec-Fetch-Site` and `Origin`
        must not say otherwise), and its form must hold the token that only our pages know.
        """

        async def endpoint(request: Request) -> Response:
            visitor: Visitor | None = request.state.visitor
            if visitor is None or not visitor.may_change:
                raise RefusedError(
                    HTTPStatus.FORBIDDEN,
                    "Only for reading",
                    "The token is for reading: log in to change something.",
                )
            return await change(request, await self.form(request, visitor))

        return endpoint

    async def form(self, request: Request, visitor: Visitor | None) -> Form:
        """The fields of a form that a page of ours has sent.

        Raises:
            RefusedError: it is not from a page of ours (403), too large (413), or not a form (415).
        """
        _check_site(request.scope)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/x-www-form-urlencoded":
            raise RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not a form", "Send application/x-www-form-urlencoded."
            )
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > FORM_BYTES:
                raise RefusedError(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    "Too large",
                    f"A form has at most {FORM_BYTES} bytes.",
                )
        fields = dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
        if not _same(fields.get("csrf", ""), self.form_token(visitor)):
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "Not from this page",
                "This page is out of date: load it again, then try once more.",
            )
        return fields


def _usable(password: str) -> str:
    if not password.startswith("$argon2"):
        return hashed(password)
    from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

    try:
        _hasher().verify(password, "")
    except VerifyMismatchError:
        return password
    except (InvalidHashError, VerificationError):
        message = "this begins like an argon2 hash and is none"
    else:
        message = "this is the hash of an empty password, which lets everybody in"
    raise ConfigError([Problem("web.password", None, "", f"{message}; `aggregator password` prints one")])


def _slow_down(seconds: float) -> RefusedError:
    return RefusedError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many wrong passwords",
        "Wait a little, then try again.",
        {"Retry-After": str(max(round(seconds), 1))},
    )


def _check_site(scope: Scope) -> None:
    """Refuse what another site's page makes a browser send (https://www.w3.org/TR/fetch-metadata/).

    Old browsers, and all on plain http beyond loopback, say no `Sec-Fetch-Site`; and `Origin` is `null` for pages
    that send no referrer, as ours do. Then the form's token alone decides.
    """
    fetched_from, origin = header(scope, b"sec-fetch-site"), header(scope, b"origin")
    if fetched_from is not None:
        ours = fetched_from in {"same-origin", "none"}
    else:
        name = host_name((origin or "").partition("://")[2])
        ours = origin in {None, "null"} or name == host_name(header(scope, b"host") or "")
    if not ours:
        raise RefusedError(HTTPStatus.FORBIDDEN, "Not from this page", "Another site has sent this request.")


@lru_cache(maxsize=256)
@lru_cache(maxsize=256)
def host_name(host: str) -> str:
    """The name in a `Host` header: lower-case, without port, brackets or a final dot; empty where it is none."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower().rstrip(".") if found else ""


def local(address: str) -> str:
    """Where to go after the login: an address within this server, and nothing else; `/` where it is none."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"


def client_of(scope: Scope) -> str:
    """Whose wrong words are counted together: an address, or the network that one IPv6 customer is given."""
    host = (scope.get("client") or ("",))[0]
    try:
        address = ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)


def cookies(scope: Scope, name: str) -> list[str]:
    """The values of all cookies of a name (RFC 6265 §5.4)."""
    lines = (value.decode("latin-1") for key, value in scope["headers"] if key == b"cookie")
    pairs = (part.strip().partition("=") for line in lines for part in line.split(";"))
    return [value for key, _, value in pairs if key == name and value]


def _basic(scope: Scope) -> str | None:
    """The password of HTTP Basic (RFC 7617); one that cannot be read is a wrong one."""
    kind, _, value = (header(scope, b"authorization") or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:  # no base64, no UTF-8, or not even ASCII
        return ""


def _parameter(scope: Scope, name: str) -> str | None:
    found = parse_qs(scope["query_string"].decode("latin-1")).get(name)
    return found[0] if found else None


def _same(one: str, other: str) -> bool:
    """Equal; takes as long whether they are nearly so or not at all."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))
