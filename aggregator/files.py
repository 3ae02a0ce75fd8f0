"""Writing files so that a reader sees the old one or the new one, never a part."""

import os
import tempfile
from pathlib import Path


def replace(path: Path, body: bytes, *, mode: int = 0o644) -> bool:
    """Write `body` to `path` at once; a file that holds it already is left alone.

    Args:
        path: the file; its folder is made where it is missing.
        body: what it shall hold.
        mode: its permissions where it does not exist yet.

    Returns:
        Whether anything was written.
    """
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
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True
