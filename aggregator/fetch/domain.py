"""Which hosts belong together. Pure but for the list that the library brings; it is read once, when first needed."""

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def registrable_domain(url: str) -> str | None:
    """The domain that somebody registered and under which a URL's host stands: `example.co.uk` for `a.b.example.co.uk`.

    The domains of the Public Suffix List's private section are registered names like any other: a platform
    that gives each of its users a host is one server to us.

    Returns:
        Lower-case; None for an IP address, or a name of no known registry such as `localhost`.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        ip_address(host)
    except ValueError:
        return _suffixes().privatesuffix(host)
    return None


@lru_cache(maxsize=1)
def _suffixes() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False, only_icann=True)
