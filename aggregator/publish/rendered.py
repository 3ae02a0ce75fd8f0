"""A document ready to be sent: in any coding, whole or only what is new in it."""

import gzip
import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import islice
from urllib.parse import quote

from aggregator.publish.channel import Link

REMEMBERED = 16
"""So many earlier versions of a document are known again by their tags."""


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, 6, mtime=0)  # no time of compression in it: equal input, equal bytes


def _brotli(body: bytes) -> bytes:
    import brotli

    packed: bytes = brotli.compress(body, quality=5)
    return packed


def _zstd(body: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=9).compress(body)


# The smallest first; higher levels gain 3 % and cost ten times as much. RFC 1952, RFC 7932, RFC 8878.
CODINGS: Mapping[str, Callable[[bytes], bytes]] = {"br": _brotli, "zstd": _zstd, "gzip": _gzip}
"""What a document can be compressed with, by the name of the content coding."""


class Rendered:
    """A document: a frame, and the parts that stand in it.

    Args:
        head: what stands before the parts, or the whole document.
        parts: what it says of each entry.
        joint: what stands between two of them.
        tail: what stands behind them.
        media_type: with its charset.
        last_modified: when the newest of its revisions was first seen.
        links: to other documents.
        before: the document as it was before; its tag and parts are remembered, and those of some before it.
        etag: what to call it instead of by its bytes.
    """

    def __init__(
        self,
        head: bytes,
        *,
        media_type: str,
        last_modified: datetime,
        parts: tuple[bytes, ...] = (),
        joint: bytes = b"",
        tail: bytes = b"",
        links: Iterable[Link] = (),
        before: "Rendered | None" = None,
        etag: str | None = None,
    ) -> None:
        self.body = head + joint.join(parts) + tail
        self.media_type = media_type
        self.last_modified = last_modified
        self.links = tuple(links)
        self.etag = etag or f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'
        self._frame = head, joint, tail
        self._parts = parts
        self._coded: dict[str | None, bytes] = {None: self.body}
        self._deltas: dict[str, Rendered] = {}
        # A part is known again by its hash: of 64 bits, and another one in every process.
        self._known: dict[str, frozenset[int]] = {}
        if before is not None:
            earlier = {before.etag: frozenset(map(hash, before._parts)), **before._known}
            earlier.pop(self.etag, None)
            self._known = dict(islice(earlier.items(), REMEMBERED))

    @property
    def link(self) -> str:
        """The value of a `Link` header (RFC 8288): the neighbours that the document names, and the other formats."""
        return ", ".join(
            f'<{quote(link.href, safe="%:/?#[]@!$&()*+,;=~")}>; rel="{link.rel}"'
            + (f'; type="{link.type}"' if link.type else "")
            for link in self.links
        )

    def tag(self, coding: str | None) -> str:
        """The strong validator of the document in a coding: other bytes need another tag (RFC 9110 §8.8.3.3)."""
        return self.etag if coding is None else f'{self.etag[:-1]}-{coding}"'

    def at_hand(self, coding: str | None) -> bytes | None:
        """The document in a coding (None: as it is), if somebody has asked for that before."""
        return self._coded.get(coding)

    def coded(self, coding: str | None) -> bytes:
        """The document in a coding, one of `CODINGS`, or None: as it is."""
        packed = self._coded.get(coding)
        if packed is None:
            packed = self._coded[coding] = CODINGS[str(coding)](self.body)
        return packed

    def since(self, tags: Iterable[str]) -> "tuple[str, Rendered] | None":
        """The document with only those entries that are new or changed since a version that the client has.

        That version and this together make the whole: nothing that it lacks is left out (RFC 3229, `IM: feed`).

        Args:
            tags: of the versions that the client has, in any coding.

        Returns:
            The tag of the version that was found, and the rest; None where none is known, or all is new.
        """
        for tag in tags:
            base = f'"{tag.removeprefix("W/").strip(chr(34)).partition("-")[0]}"'
            if base in self._deltas:
                return base, self._deltas[base]
            if base in self._known:
                new = tuple(part for part in self._parts if hash(part) not in self._known[base])
                if len(new) == len(self._parts):
                    return None
                head, joint, tail = self._frame
                self._deltas[base] = delta = Rendered(
                    head,
                    parts=new,
                    joint=joint,
                    tail=tail,
                    media_type=self.media_type,
                    last_modified=self.last_modified,
                    links=self.links,
                    etag=self.etag,
                )
                return base, delta
        return None
