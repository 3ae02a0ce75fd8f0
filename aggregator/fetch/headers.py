"""What an answer's headers say. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

MAX_FRESH = timedelta(days=31)

Headers = Mapping[str, str]
"""By lower-case name."""


def parse_headers(lines: Iterable[bytes]) -> dict[str, str]:
    """Headers by lower-case name, read as Latin-1; repeated ones joined by commas (RFC 9110 §5.3)."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def verbatim(headers: Headers, name: str) -> str | None:
    """A validator as it was sent; None where there is none, or none that could be sent back."""
    value = headers.get(name)
    return (
        value
        if value and (value.isprintable() or not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value))
        else None
    )


def _date(value: str | None) -> datetime | None:
    """An HTTP-date in any of its three forms (RFC 9110 §5.6.7)."""
    if not value:
        return None
    try:
        parsed = parsedate_to_datetime(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _seconds(value: str | None) -> timedelta | None:
    """A count of seconds; more than a timedelta can say is cut to 2³¹ (RFC 9111 §1.2.2)."""
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    return timedelta(seconds=int(value) if len(value) < 10 else 2**31)


_DIRECTIVE = re.compile(r'([\w-]+)(?:\s*=\s*("[^"]*"|[^\s,]*))?')


def fresh_for(headers: Headers, now: Callable[[], datetime]) -> timedelta | None:
    """How long an answer stays fresh for a private cache (RFC 9111 §4.2), less its age.

    `max-age` goes before `Expires`; `s-maxage` is for shared caches and ignored. `no-cache` and
    `no-store` forbid reuse but say nothing about when to come back.

    Args:
        headers: the answer's, by lower-case name.
        now: the clock, used where `Expires` comes without `Date`.

    Returns:
        0 to 31 days; 0 where it says so or says it in no way that can be read; None where nothing is said of it.
    """
    if "cache-control" not in headers and "expires" not in headers:
        return None
    directives: dict[str, str] = {}
    for name, value in _DIRECTIVE.findall(headers.get("cache-control", "")):
        directives.setdefault(name.lower(), value.strip('"'))
    # `no-cache="Set-Cookie"` concerns that header only.
    if directives.get("no-cache") == "" or "no-store" in directives:
        return timedelta(0)
    if "max-age" in directives:
        lifetime = _seconds(directives["max-age"])
    else:
        expires = _date(headers.get("expires"))
        lifetime = None if expires is None else expires - (_date(headers.get("date")) or now())
    if lifetime is None:
        return timedelta(0)
    age = _seconds(headers.get("age")) or timedelta(0)
    return min(max(lifetime - age, timedelta(0)), MAX_FRESH)


def retry_after(headers: Headers, now: Callable[[], datetime]) -> timedelta | None:
    """How long the server asks us to wait (RFC 9110 §10.2.3).

    A date is read against the server's own clock, its `Date`, where it gives one.

    Args:
        headers: the answer's, by lower-case name.
        now: the clock, used where a date comes without `Date`.

    Returns:
        Never negative; None where the server does not say.
    """
    value = headers.get("retry-after")
    wait = _seconds(value)
    if wait is None and (date := _date(value)) is not None:
        wait = date - (_date(headers.get("date")) or now())
    return None if wait is None else max(wait, timedelta(0))


# No quantifier here can take what the next one could: the time stays linear in a header's length.
_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[^\s=;,<>\"]+(?:\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s\";,]*))?)*)")
_PARAMETER = re.compile(r";\s*([^\s=;,]+)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\";,]*)))?")


def parse_links(value: str, base: str) -> tuple[tuple[str, str], ...]:
    """The targets a `Link` header names (RFC 8288 §3).

    Args:
        value: the header's value; several headers joined by commas.
        base: what relative targets refer to.

    Returns:
        Pairs of relation, lower-case, and absolute http(s) address, in order. A link about something
        other than this document (`anchor`) is left out.
    """
    return tuple(_links(value, base))


def _links(value: str, base: str) -> Iterator[tuple[str, str]]:
    for target, rest in _LINK.findall(value):
        parameters: dict[str, str] = {}
        for name, quoted, token in _PARAMETER.findall(rest):
            parameters.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or token)
        try:
            url = urljoin(base, target.strip())
        except ValueError:
            continue
        if "anchor" in parameters or not url.startswith(("http://", "https://")):
            continue
        for relation in parameters.get("rel", "").lower().split():
            yield relation, url
