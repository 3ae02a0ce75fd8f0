"""Writing files so that a reader sees the old one or the new one, never a part."""

import os
import tempfile
from pathlib import Path


def replace(path: Path, body: bytes, *, mode: int = 0o644) -> bool:
    """Write `body` to `path` at once; a file that holds it already is left alone.

    Args:
        path: the file, or a link to it; its folder is made where it is missing.
        body: what it shall hold.
        mode: its permissions where it does not exist yet.

    Returns:
        Whether anything was written.
    """
    path = path.resolve()
    if path.is_file():
        if path.read_bytes() == body:
            return False
        mode = path.stat().st_mode & 0o7777
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too, is on the disk
    finally:
        os.close(folder)
    return True
