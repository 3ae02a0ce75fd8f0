"""What the program says while it works: lines for a person at a terminal, JSON for everything else.

Feed text that reaches a log line is escaped and cut, and passwords in addresses are masked, whoever
wrote the line: this is the one place that all of them pass.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from aggregator.text import masked, printable

LINE_LIMIT = 2_000
"""Characters of a message, or of a line of a traceback."""

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


def _line(text: str) -> str:
    return printable(masked(text), LINE_LIMIT)


def _lines(text: str) -> str:
    return "\n".join(map(_line, text.split("\n")))


class HumanFormatter(logging.Formatter):
    """`12:30:01 warning  message`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback where there is one."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        line = f"{moment:%H:%M:%S} {record.levelname.lower():<8} {_line(record.getMessage())}"
        return f"{line}\n{_lines(self.formatException(record.exc_info))}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and whatever the caller gave as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _line(record.getMessage()),
        }
        for key, value in vars(record).items():
            if key not in _USUAL:
                line[key] = _line(value) if isinstance(value, str) else value
        if record.exc_info:
            line["traceback"] = _lines(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(level: int, stream: TextIO | None = None) -> None:
    """Send all log lines of `level` and above to `stream` (standard error), in the form that suits it."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanFormatter() if stream.isatty() else JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("aggregator").setLevel(level)
