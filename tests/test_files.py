"""Files that are replaced whole or not at all."""

import os
import stat
import threading
from pathlib import Path

import pytest

from aggregator.files import replace


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.xml"
    assert replace(path, b"one") is True
    assert path.read_bytes() == b"one"


@pytest.mark.parametrize(
    ("given", "expected"), [({}, 0o644), ({"mode": 0o600}, 0o600)], ids=["default", "given"]
)
def test_a_new_file_has_its_mode_whatever_the_umask(
    tmp_path: Path, given: dict[str, int], expected: int
) -> None:
    before = os.umask(0o077)
    try:
        replace(tmp_path / "x", b"one", **given)
    finally:
        os.umask(before)
    assert mode(tmp_path / "x") == expected


def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"one")
    path.chmod(0o640)
    assert replace(path, b"two", mode=0o600) is True
    assert (path.read_bytes(), mode(path)) == (b"two", 0o640)


def test_a_file_that_holds_it_already_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    replace(path, b"one")
    before = path.stat()
    assert replace(path, b"one") is False
    assert path.stat() == before


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "folder" / "x", tmp_path / "link"
    replace(path, b"one")
    link.symlink_to(path)
    assert replace(link, b"two") is True
    assert link.is_symlink()
    assert path.read_bytes() == b"two"


def test_who_has_the_old_one_open_reads_it_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    replace(path, b"old" * 1000)
    with path.open("rb") as reader:
        assert reader.read(3) == b"old"
        replace(path, b"new")
        assert reader.read() == b"old" * 999


def test_readers_never_see_a_part(tmp_path: Path) -> None:
    path = tmp_path / "x"
    bodies = {b"a" * 300_000, b"b" * 200_000}
    replace(path, b"a" * 300_000)
    done = threading.Event()

    def write() -> None:
        for _ in range(10):
            for body in sorted(bodies):
                replace(path, body)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= bodies


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x"
    replace(path, b"old")
    with pytest.raises(TypeError):
        replace(path, "not bytes")  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    assert path.read_bytes() == b"old"


def test_a_folder_in_the_way_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="x"):
        replace(tmp_path / "x", b"one")
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
