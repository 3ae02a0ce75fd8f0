"""Whom does an entry say it took its text from?"""

import re

from aggregator.model import Attribution

_SOURCE_LINE = re.compile(
    r"^[\s(\[]*(?:sumber(?:\s+berita)?|source|fuente|fonte|bron)\s*:\s*(?P<name>[^\n:]{2,60}?)[\s.)\]]*$",
    re.IGNORECASE | re.MULTILINE,
)
_FOOTER = 1_500  # a source line stands near the end, before "related articles"


def attributions(plain: str) -> tuple[Attribution, ...]:
    """The outlets that the last lines of an entry's plain text name as its source ("Sumber: INEWS")."""
    footer = plain
    if len(plain) > _FOOTER:  # from the next line on: a part of one would look like a line
        footer = plain[-_FOOTER:].partition("\n")[2]
    names = (match["name"].strip(" .*_–-") for match in _SOURCE_LINE.finditer(footer))
    return tuple(Attribution(name) for name in dict.fromkeys(names) if name)
