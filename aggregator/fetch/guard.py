"""Which addresses we do not connect to.

A feed's address is chosen by a stranger, and so is what its name resolves to and where it redirects.
Without a guard such a stranger could make us ask the operator's own network (SSRF).
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# IANA's special-purpose address registries (RFC 6890), and what stands outside of global unicast.
_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), name)
    for network, name in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared behind a carrier's NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("2001::/23", "reserved"),  # Teredo among them
        ("2001:db8::/32", "for documentation"),
        ("3fff::/20", "for documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052; what stands behind its /48 for local use is not public


def refused(address: str, allowed: Sequence[Network] = ()) -> str | None:
    """Why we do not connect to `address`.

    An IPv6 address that embeds an IPv4 one (mapped, 6to4, NAT64) is judged by that one.

    Args:
        address: an IP address, possibly with a zone (`fe80::1%eth0`).
        allowed: networks that may be connected to in any case.

    Returns:
        What kind of address it is, in words that follow "which is"; None if it may be connected to.
    """
    ip = ip_address(address.partition("%")[0])
    if any(ip in network for network in allowed):
        return None
    if isinstance(ip, IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour
        if embedded is None and ip in _NAT64:
            embedded = IPv4Address(int(ip) & 0xFFFF_FFFF)
        if embedded is not None:
            return refused(str(embedded), allowed)
    for network, name in _SPECIAL:
        if ip in network:
            return name
    return "reserved" if isinstance(ip, IPv6Address) and ip not in _GLOBAL_V6 else None
