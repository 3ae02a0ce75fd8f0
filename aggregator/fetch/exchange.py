"""One request and its answer: what we send, what we are willing to receive, what went wrong."""

import asyncio
import os
import re
import socket
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from io import BytesIO
from string import punctuation
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit
from zlib import crc32

import certifi
import pycurl

from aggregator.fetch.body import ACCEPT_ENCODING, PAGE_BYTES
from aggregator.fetch.guard import refused
from aggregator.fetch.headers import Headers, parse_headers
from aggregator.fetch.room import Owner, Room
from aggregator.model import FailureKind, FetchFailure, FetchSettings, Validators
from aggregator.text import LONGEST_URL, masked

ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.1"
)
_ACCEPTED = f"{crc32(ACCEPT.encode()):08x}"
MAX_HEADER_BYTES = 64 * 1024
CONNECT_TIMEOUT = timedelta(seconds=10)

# A transfer below this rate for two thirds of the time limit will not make it: free its place early.
_LOW_SPEED = 64  # bytes a second

_HEADERS = f"{MAX_HEADER_BYTES:,} bytes of headers"
_E_TOO_LARGE = 100  # one endless header line; pycurl has no name for it

_HOST_NAME = re.compile(r"[a-z0-9._:%-]+")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes.

    Attributes:
        url: ASCII, without fragment and credentials.
        scheme: `http` or `https`.
        host: host and port, lower-case; the unit of politeness.
        userinfo: `user:password` as it stood in the URL, percent-encoded.
    """

    url: str
    scheme: str
    host: str
    userinfo: str | None

    @classmethod
    def of(cls, url: str) -> "Target":
        """The target that `url` names.

        Raises:
            ValueError: it names none; says why.
        """
        parts = urlsplit(url.strip())
        scheme = parts.scheme.lower()
        if scheme not in {"http", "https"}:
            raise ValueError("only http and https addresses are fetched")
        if not parts.hostname:
            raise ValueError("it names no host")
        name = parts.hostname
        with suppress(UnicodeError):
            name = name.encode("idna").decode()
        if not _HOST_NAME.fullmatch(name):
            raise ValueError("its host name is not one")
        try:
            port = parts.port
        except ValueError:  # whose words could show a piece of a password
            raise ValueError("its port is not a number from 0 to 65535") from None
        if ":" in name:
            name = f"[{name}]"
        host = name if port is None else f"{name}:{port}"
        resource = quote(parts.path or "/", safe=punctuation)
        if parts.query:
            resource += "?" + quote(parts.query, safe=punctuation)
        default = 443 if scheme == "https" else 80
        userinfo, at, _ = parts.netloc.rpartition("@")
        return cls(
            url=f"{scheme}://{host}{resource}",
            scheme=scheme,
            host=name if port == default else host,
            userinfo=userinfo if at else None,
        )

    def redirected(self, location: str | None) -> "Target":
        """Where `location` leads to from here (RFC 9110 §15.4, §10.2.2).

        Raises:
            ValueError: we do not go there; says why.
        """
        if not location:
            raise ValueError("it does not say where to (no Location header)")
        if len(location) > LONGEST_URL:
            raise ValueError(f"it leads to an address of more than {LONGEST_URL:,} characters")
        with suppress(UnicodeError):  # some servers send raw UTF-8; headers are read as Latin-1
            location = location.encode("latin-1").decode()
        joined = urljoin(self.url, location)
        try:
            target = Target.of(joined)
        except ValueError as error:
            raise ValueError(f"{masked(joined)}: {error}") from None
        if self.scheme == "https" and target.scheme == "http":
            raise ValueError(f"from https to unprotected {target.url}")
        if target.userinfo is None and (target.scheme, target.host) == (self.scheme, self.host):
            return replace(target, userinfo=self.userinfo)
        return target

    @property
    def url_with_credentials(self) -> str:
        """What an operator would have to write to come here directly."""
        return self.url if self.userinfo is None else self.url.replace("://", f"://{self.userinfo}@", 1)

    @property
    def asked(self) -> str:
        """What validators are given for: the address, the credentials, and what we say that we accept.

        Another of these may be answered with another document (RFC 9110 §12.1), of which they say nothing.
        """
        return f"{self.url_with_credentials}#{_ACCEPTED}"

    @property
    def authorization(self) -> bytes | None:
        """The `Authorization` header's value (RFC 7617)."""
        if self.userinfo is None:
            return None
        user, _, password = self.userinfo.partition(":")
        return b"Basic " + b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `headers` by lower-case name, repeated ones joined (RFC 9110 §5.3)."""

    status: int
    headers: Headers
    body: bytes
    seconds: float


class _Socket(socket.socket):
    """A socket that closes without complaint: libcurl keeps a duplicate of its descriptor."""

    def __del__(self) -> None:
        self.close()


class Exchange:
    """A curl handle and what it has received: used for one request after another."""

    def __init__(self, settings: FetchSettings, user_agent: str, room: Room) -> None:
        self._settings = settings
        self._room = room
        self.curl = curl = pycurl.Curl()
        timeout = settings.timeout.total_seconds()
        for option, value in (
            # HTTP/2 would bring nothing: one request, then silence until the next poll.
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.USERAGENT, user_agent.encode()),
            (pycurl.CAINFO, _authorities()),
            # Nothing from the environment decides where we connect or what we send.
            (pycurl.PROXY, ""),
            (pycurl.NOPROXY, "*"),
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.NOSIGNAL, 1),
            (pycurl.CONNECTTIMEOUT_MS, int(CONNECT_TIMEOUT.total_seconds() * 1000)),
            (pycurl.LOW_SPEED_LIMIT, _LOW_SPEED),
            (pycurl.LOW_SPEED_TIME, max(1, int(timeout * 2 / 3))),
            (pycurl.BUFFERSIZE, 64 * 1024),
            (pycurl.OPENSOCKETFUNCTION, self._open_socket),
            (pycurl.HEADERFUNCTION, self._on_header),
            (pycurl.WRITEFUNCTION, self._on_body),
            (pycurl.READFUNCTION, self._on_read),
            (pycurl.SEEKFUNCTION, self._on_rewind),
        ):
            curl.setopt(option, value)
        self.clear()

    def clear(self) -> None:
        """Forget the last exchange."""
        self._lines: list[bytes] = []
        self._complete = False
        self._header_bytes = 0
        self._status = 0
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._refusal: str | None = None
        self._connecting = False
        self._overflow: str | None = None
        self._owner: Owner | None = None
        self._message: BytesIO | None = None
        self._allowed = 0.0
        self._paused_at: float | None = None

    def close(self) -> None:
        """Free the handle."""
        self.curl.close()

    def prepare(self, target: Target, validators: Validators, seconds: float, owner: Owner) -> None:
        """Make ready for a request of `owner` to `target`; `seconds` of its time are already spent."""
        headers = [b"Accept: " + ACCEPT.encode(), b"Accept-Encoding: " + ACCEPT_ENCODING.encode()]
        if validators.etag is not None:
            headers.append(b"If-None-Match: " + validators.etag.encode("latin-1", "replace"))
            headers.append(b"A-IM: feed")
        if validators.last_modified is not None:
            headers.append(b"If-Modified-Since: " + validators.last_modified.encode("latin-1", "replace"))
        if authorization := target.authorization:
            headers.append(b"Authorization: " + authorization)
        self.curl.setopt(pycurl.HTTPGET, 1)
        self._prepare(target, headers, seconds, owner)

    def prepare_message(
        self, target: Target, body: bytes | None, headers: Mapping[str, str], owner: Owner
    ) -> None:
        """Make ready to say something to `target` instead: POST where there is a body, else GET.

        Of the answer its status counts, and as much of its body as a page's.
        """
        lines = [f"{name}: {value}".encode("latin-1", "replace") for name, value in headers.items()]
        if authorization := target.authorization:
            lines.append(b"Authorization: " + authorization)
        self._message = BytesIO(body or b"")  # shares the bytes: one document may be on its way to many
        if body is None:
            self.curl.setopt(pycurl.HTTPGET, 1)
        else:
            self.curl.setopt(pycurl.POST, 1)
            self.curl.setopt(pycurl.POSTFIELDSIZE, len(body))
            lines.append(b"Expect:")  # libcurl would ask first, and wait a second for the answer
        self._prepare(target, lines, 0, owner)

    def _prepare(self, target: Target, headers: list[bytes], seconds: float, owner: Owner) -> None:
        self._owner = owner
        self.curl.setopt(pycurl.URL, target.url)
        self.curl.setopt(pycurl.HTTPHEADER, headers)
        self._allowed = self._settings.timeout.total_seconds() - seconds
        self._limit()

    def _limit(self) -> None:
        """Tell libcurl how long the transfer may take, counted from its beginning; no limit while we let it wait."""
        allowed = max(1, int(self._allowed * 1000)) if self._paused_at is None else 0
        self.curl.setopt(pycurl.TIMEOUT_MS, allowed)

    def give_back(self) -> None:
        """What was received is of no use."""
        if self._owner is not None and self._status < 300:
            self._room.give_back(self._owner, self._body_bytes)

    def result(self, target: Target, error: tuple[int, str] | None, seconds: float) -> Answer | FetchFailure:
        """What came of it, given libcurl's error if there was one."""
        seconds += self.curl.getinfo(pycurl.TOTAL_TIME)
        # Where there is no document to lose, a broken body does not matter: a redirect is a redirect.
        no_document = self._status >= 300 or self._message is not None
        if error is None or (self._complete and no_document and self._overflow is None):
            return Answer(self._status, parse_headers(self._lines), b"".join(self._chunks), seconds)
        kind, message = self._explain(target, *error)
        return FetchFailure(kind, message, http_status=self._status or None, url=target.url, seconds=seconds)

    def _explain(self, target: Target, code: int, words: str) -> tuple[FailureKind, str]:
        host = target.host
        if self._overflow is not None:
            return FailureKind.TOO_LARGE, f"{host} sends more than the {self._overflow} that are read"
        if code == _E_TOO_LARGE:
            return FailureKind.TOO_LARGE, f"{host} sends more than the {_HEADERS} that are read"
        if self._refusal is not None and not self._connecting:
            return FailureKind.ADDRESS, f"{host} {self._refusal}"
        if code == pycurl.E_OPERATION_TIMEDOUT:
            spent = f"{self.curl.getinfo(pycurl.TOTAL_TIME):.2g} s"
            if self._body_bytes:
                return (
                    FailureKind.TIMEOUT,
                    f"{host} is too slow: only {self._body_bytes:,} bytes came in {spent}",
                )
            if self.curl.getinfo(pycurl.CONNECT_TIME) > 0:
                return FailureKind.TIMEOUT, f"no answer from {host} within {spent}"
            return FailureKind.TIMEOUT, f"no connection to {host} within {spent}"
        if code in _CERTIFICATE_ERRORS:
            return FailureKind.TLS, _explain_certificate(host, words)
        kind, message = _CURL_ERRORS.get(code, (FailureKind.NETWORK, "the request to {host} failed: {words}"))
        cause = os.strerror(self.curl.getinfo(pycurl.OS_ERRNO)).lower()
        return kind, message.format(host=host, words=words, cause=cause, file=_authorities())

    # What follows is called by libcurl, in the middle of a transfer.

    def _open_socket(self, _purpose: int, address: pycurl.CurlSockAddr) -> socket.socket | int:
        """The guard: this is the very address that libcurl is about to connect to."""
        ip = str(address.addr[0])
        reason = refused(ip, self._settings.allow_addresses)
        if reason is not None:
            self._refusal = (
                f"has the address {ip}, which is {reason} and therefore refused; "
                f"`fetch.allow_addresses` would permit it"
            )
            return pycurl.SOCKET_BAD
        try:
            opened = _Socket(address.family, address.socktype, address.protocol)
        except OSError:  # no IPv6 here, or no descriptor left: libcurl tries the next address
            return pycurl.SOCKET_BAD
        self._connecting = True
        return opened

    def _on_header(self, line: bytes) -> int | None:
        self._header_bytes += len(line)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._overflow = _HEADERS
            return -1
        if line.startswith(b"HTTP/"):  # the answer, or one of the 1xx before it
            self._lines = []
            self._complete = False
            self._status = int(line[9:12])  # libcurl passes on only what begins `HTTP/1.x nnn`
        elif not line.strip():
            self._complete = True
        elif not self._complete:  # else a trailer, of which none is of use to us
            self._lines.append(line)
        return None

    def _on_body(self, chunk: bytes) -> int | None:
        size = self._body_bytes + len(chunk)
        if self._status >= 300 or self._message is not None:
            if size > PAGE_BYTES:
                return -1
        elif size > self._settings.max_bytes:
            self._chunks.clear()
            self._overflow = f"{self._settings.max_bytes:,} bytes of body"
            return -1
        elif self._owner is not None and not self._room.take(self._owner, len(chunk)):
            self._paused_at = time.monotonic()
            self._room.when_freed(self._resume)
            asyncio.get_running_loop().call_soon(self._limit)  # libcurl must not be told from here
            return pycurl.WRITEFUNC_PAUSE  # libcurl keeps the chunk and gives it again
        self._body_bytes = size
        self._chunks.append(chunk)
        return None

    def _on_read(self, size: int) -> bytes:
        return self._message.read(size) if self._message is not None else b""

    def _on_rewind(self, offset: int, origin: int) -> None:
        if self._message is not None:  # a kept connection turned out to be closed: once more from the start
            self._message.seek(offset, origin)

    def _resume(self) -> None:
        if self._paused_at is not None:
            self._allowed += time.monotonic() - self._paused_at
            self._paused_at = None
            self._limit()
            with suppress(pycurl.error):  # what `_on_body` refuses now ends the transfer
                self.curl.pause(pycurl.PAUSE_CONT)


def _authorities() -> str:
    """The file of certificate authorities: the bundled libcurl knows none of the system's."""
    return os.environ.get("SSL_CERT_FILE") or certifi.where()


_CERTIFICATE_ERRORS = frozenset({pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CERTPROBLEM})

_CURL_ERRORS = {
    pycurl.E_COULDNT_RESOLVE_HOST: (FailureKind.DNS, "no such host: {host} (or DNS does not answer)"),
    pycurl.E_COULDNT_CONNECT: (FailureKind.CONNECT, "no connection to {host}: {cause}"),
    pycurl.E_URL_MALFORMAT: (FailureKind.ADDRESS, "{host} is no host name: {words}"),
    pycurl.E_SSL_CONNECT_ERROR: (FailureKind.TLS, "no protected connection to {host}: {words}"),
    pycurl.E_SSL_CACERT_BADFILE: (
        FailureKind.INTERNAL,
        "the file of certificate authorities cannot be read: {file} (see SSL_CERT_FILE)",
    ),
    pycurl.E_PARTIAL_FILE: (FailureKind.NETWORK, "the answer of {host} was cut off: {words}"),
    pycurl.E_GOT_NOTHING: (FailureKind.NETWORK, "{host} closed the connection without an answer"),
    pycurl.E_RECV_ERROR: (FailureKind.NETWORK, "the connection to {host} broke: {words}"),
    pycurl.E_SEND_ERROR: (FailureKind.NETWORK, "the connection to {host} broke: {words}"),
    pycurl.E_UNSUPPORTED_PROTOCOL: (FailureKind.NETWORK, "the answer of {host} is not HTTP: {words}"),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: (FailureKind.NETWORK, "the answer of {host} is not HTTP: {words}"),
}


def _explain_certificate(host: str, words: str) -> str:
    said = words.lower()
    if "expired" in said:
        return f"the certificate of {host} has expired"
    if "not yet valid" in said:
        return f"the certificate of {host} is not valid yet (or the clock here is wrong)"
    if "subject name" in said or "hostname mismatch" in said:
        return f"the certificate that {host} shows was made for another host"
    if "self-signed" in said or "self signed" in said:
        return f"the certificate of {host} is self-signed"
    return f"the certificate of {host} cannot be verified: {words}"
