"""The floors of the house, the homes of the libraries, and what a start may cost (docs/architecture.md)."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import configure, item, rss
from tests.server import Server

PACKAGE = Path(__file__).resolve().parents[1] / "aggregator"

# From the ground up. Where one word needs another, or the daemon the web, they have a step of their own.
FLOORS = (
    {"errors"},
    {"model"},
    {"text", "files", "memory", "notify"},
    {"logs"},
    {"fetch", "config", "store"}
    | {
        "parse",
        "duplicates",
        "topics",
        "cadence",
        "publish",
        "discover",
        "opml",
        "health",
        "places",
        "websub",
        "trends",
        "export",
    },
    {"poll", "link", "lists", "count", "demo"},
    {"push", "output"},
    {"app"},
    {"web", "metrics"},
    {"daemon"},
    {"cli"},
    {"__main__"},
)
HOMES = {
    "Stemmer": {"topics"}, "ahocorasick_rs": {"duplicates", "topics"}, "apscheduler": {"daemon"}, "brotli": {"publish"}, "argon2": {"web"}, "certifi": {"fetch"},
    "click": {"cli"}, "fasttext": {"text"}, "feedgen": {"publish"}, "feedparser": {"parse"},
    "jinja2": {"web"}, "lxml": {"parse", "discover", "opml", "publish"},
    "markupsafe": {"web"}, "nh3": {"text"}, "pyarrow": {"export"}, "prometheus_client": {"metrics"}, "publicsuffixlist": {"fetch"}, "pycurl": {"fetch"}, "pygal": {"web"}, "pydantic": {"config", "web"}, "pydantic_core": {"config", "web"},
    "sqlite3": {"store"}, "sqlite_utils": {"store"}, "starlette": {"web"}, "uvicorn": {"daemon"}, "yaml": {"config"},
    "zstandard": {"fetch", "publish"},
}  # fmt: skip


def rooms() -> Iterator[tuple[str, str]]:
    """Every import in the package, also those within functions or for types only: room and imported module."""
    for file in PACKAGE.rglob("*.py"):
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((room, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file.name}: imports are absolute"
                if node.module == "aggregator":
                    yield from ((room, f"aggregator.{alias.name}") for alias in node.names)
                else:
                    yield room, str(node.module)


IMPORTS = set(rooms())


def test_every_room_has_a_floor() -> None:
    found = {file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in PACKAGE.rglob("*.py")}
    assert found - {"__init__"} == set().union(*FLOORS)


def test_a_room_imports_only_from_below() -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    inner = {(room, module.split(".")[1]) for room, module in IMPORTS if module.startswith("aggregator.")}
    assert not {(room, other) for room, other in inner if room != other and floor[other] >= floor[room]}


def test_nothing_imports_the_front_of_the_package() -> None:
    assert "aggregator" not in {module for _, module in IMPORTS}


def test_every_library_has_one_home() -> None:
    used: dict[str, set[str]] = {}
    for room, module in IMPORTS:
        library = module.split(".")[0]
        if library in HOMES or library not in sys.stdlib_module_names | {"aggregator"}:
            used.setdefault(library, set()).add(room)
    assert not {library: rooms for library, rooms in used.items() if not rooms <= HOMES.get(library, set())}


def loaded(words: str, folder: Path) -> set[str]:
    """The libraries that a command has imported when it ends."""
    script = f"""
import sys
sys.argv = ["aggregator", *{words.split()!r}]
if sys.argv[1:]:
    from aggregator.cli import main
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
else:
    import aggregator
print("loaded", *sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()[1:]}


@pytest.mark.parametrize("words", ["", "--help", "poll --help"])
def test_a_start_loads_nothing_heavy(tmp_path: Path, words: str) -> None:
    assert not loaded(words, tmp_path) & set(HOMES) - {"click"}


def test_a_pass_without_news_loads_only_what_it_needs(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1, text="&lt;p&gt;Hello&lt;/p&gt;")), etag='"1"')
    configure(tmp_path, server.url("/a"))
    assert {"nh3", "sqlite_utils"} <= loaded("poll", tmp_path)  # a new database, and a new entry
    unneeded = {"apscheduler", "fasttext", "feedgen", "feedparser", "jinja2", "lxml", "nh3", "sqlite_utils"}
    unneeded |= {"prometheus_client", "starlette", "uvicorn"}
    assert not loaded("poll --all --json", tmp_path) & unneeded
    assert server.requests[-1].header("If-None-Match") == '"1"'
