"""Who may enter, and what they may do: as a browser, a feed reader and an attacker meet it."""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from aggregator import config
from aggregator.app import Aggregator
from aggregator.errors import ConfigError
from aggregator.model import OutputFeed, Settings, WebSettings
from aggregator.text import sanitise
from aggregator.web import auth as auth_module
from aggregator.web import make_app
from aggregator.web.auth import (
    COOKIE,
    FORM_BYTES,
    SESSION,
    SESSIONS,
    Access,
    Guesses,
    RefusedError,
    Visitor,
    client_of,
    hashed,
    local,
)
from aggregator.web.safety import headers, shown
from tests.client import BROWSER, Answer, Client, basic, serving

PASSWORD = "perahu di laut – ñandú"
TOKEN = "for-readers-alone"
HASH = hashed(PASSWORD)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest after a wrong password is for attackers, not for tests."""
    monkeypatch.setattr(auth_module, "PAUSE", 0.0)


@contextmanager
def house_of(folder: Path, *, token: str | None = None, **web: Any) -> Iterator[Client]:
    """A server over an empty store; `web` as in the configuration."""
    settings = Settings(output=(OutputFeed("all"),), web=WebSettings(**web), database=str(folder / "a.db"))
    with (
        Aggregator(settings) as site,
        serving(make_app(site, token=token)) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server with a password and a readers' token."""
    with house_of(tmp_path_factory.mktemp("house"), token=TOKEN, password=HASH) as client:
        yield client


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server on loopback without either."""
    with house_of(tmp_path_factory.mktemp("open")) as client:
        yield client


def post(client: Client, path: str, form: Mapping[str, str] | bytes, **given: str) -> Answer:
    """Send a form as a browser does; `given` are further headers, and an empty one is left out."""
    usual = {
        "Content_Type": "application/x-www-form-urlencoded",
        "Accept": BROWSER,
        "Sec_Fetch_Site": "same-origin",
    }
    fields = usual | given
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    return client(path, "POST", body, **{name: value for name, value in fields.items() if value})


def csrf(answer: Answer) -> str:
    """What the forms of a page say."""
    return str(answer.page.xpath("string(.//input[@name='csrf']/@value)"))


def cookie(answer: Answer) -> str:
    """The session's cookie as it is sent back."""
    return answer.headers["set-cookie"].partition(";")[0]


def log_in(client: Client, password: str = PASSWORD, to: str = "/", **given: str) -> Answer:
    page = client("/login", Accept=BROWSER)
    return post(client, "/login", {"csrf": csrf(page), "password": password, "to": to}, **given)


# ----------------------------------------------------------------------------------------- people


def test_a_person_is_led_to_the_login_page_and_back(house: Client) -> None:
    sent = house("/search?q=kapal+perang&token=old", Accept=BROWSER)
    assert sent.status == 303
    target = urlsplit(sent.headers["location"])
    assert target.path == "/login"
    (to,) = parse_qs(target.query)["to"]
    assert to == "/search?q=kapal+perang", "without what was not the token"
    page = house(sent.headers["location"], Accept=BROWSER)
    assert page.status == 200
    assert page.headers["cache-control"] == "no-store"
    assert page.page.xpath("string(.//input[@name='to']/@value)") == to
    assert house("/static/style.css").status == 200
    done = log_in(house, to=to)
    assert (done.status, done.headers["location"]) == (303, to)
    assert house(to, Accept=BROWSER, Cookie=cookie(done)).status == 200


def test_a_session_opens_everything_until_it_ends(house: Client) -> None:
    done = log_in(house)
    name, *attributes = done.headers["set-cookie"].split("; ")
    assert name.startswith(f"{COOKIE}=")
    assert set(attributes) == {f"Max-Age={SESSION}", "Path=/", "HttpOnly", "SameSite=Lax"}
    session = {"Cookie": f"other=1; {cookie(done)}"}
    for path in ("/", "/opml", "/feeds/all.atom", "/openapi.json"):
        assert house(path, **session).status == 200
    page = house("/", Accept=BROWSER, **session)
    assert page.page.xpath(".//form[@action='/logout']//button/text()") == ["Log out"]
    out = post(house, "/logout", {"csrf": csrf(page)}, **session)
    assert (out.status, out.headers["location"]) == (303, "/login")
    assert out.headers["set-cookie"].startswith(f"{COOKIE}=; Max-Age=0; ")
    assert house("/", Accept=BROWSER, **session).status == 303, "ended here, whatever the browser keeps"


def test_a_login_gives_another_session_and_ends_the_one_before(house: Client) -> None:
    before = cookie(log_in(house))
    after = cookie(log_in(house, Cookie=before))
    assert before != after
    assert house("/opml", Cookie=before).status == 401
    assert house("/opml", Cookie=after).status == 200


def test_a_session_that_was_made_up_opens_nothing(house: Client) -> None:
    assert house("/opml", Cookie=f"{COOKIE}=madeup").status == 401
    done = log_in(house, Cookie=f"{COOKIE}=madeup")
    assert house("/opml", Cookie=f"{COOKIE}=madeup").status == 401
    assert house("/opml", Cookie=f"{COOKIE}=madeup; {cookie(done)}").status == 200, "whichever of two it is"


@pytest.mark.parametrize("password", ["", "wrong", TOKEN, HASH, PASSWORD + " "])
def test_what_is_not_the_password(house: Client, password: str) -> None:
    answer = log_in(house, password)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert "That is not the password" in answer.text
    assert HASH not in answer.text
    assert password == "" or f'value="{password}"' not in answer.text


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/", "/"),
        ("/?q=a%20b&x=1#top", "/?q=a%20b&x=1#top"),
        ("", "/"),
        ("feeds", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/é", "/"),
    ],
)
def test_after_the_login_one_stays_here(house: Client, address: str, expected: str) -> None:
    assert local(address) == expected


def test_the_login_leads_nowhere_else(house: Client) -> None:
    assert log_in(house, to="//evil.example/").headers["location"] == "/"
    page = house("/login?to=https://evil.example/", Accept=BROWSER)
    assert page.page.xpath("string(.//input[@name='to']/@value)") == "/"


@given(st.text())
def test_where_one_goes_is_always_a_path_of_ours(address: str) -> None:
    found = urlsplit(local(address))
    assert (found.scheme, found.netloc) == ("", "")
    assert found.path.startswith("/")


def test_without_a_password_there_is_no_login(open_house: Client) -> None:
    answer = open_house("/login?to=/opml", Accept=BROWSER)
    assert (answer.status, answer.headers["location"]) == (303, "/opml")
    assert "/logout" not in open_house("/", Accept=BROWSER).text


# ---------------------------------------------------------------------------------------- programs


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("/feeds/all.atom", {}, 401, id="nothing"),
        pytest.param("/feeds/all.atom", basic(PASSWORD), 200, id="the password"),
        pytest.param("/feeds/all.atom", basic(TOKEN), 200, id="the token"),
        pytest.param(f"/feeds/all.atom?token={TOKEN}", {}, 200, id="the token in the address"),
        pytest.param(f"/feeds/all.atom?token={'x' * 20}", {}, 401, id="a wrong token"),
        pytest.param(
            f"/feeds/all.atom?{urlencode({'token': PASSWORD})}", {}, 401, id="a password is for no address"
        ),
        pytest.param("/feeds/all.atom", basic("wrong"), 401, id="a wrong password"),
        pytest.param("/feeds/all.atom", basic(HASH), 401, id="the hash"),
        pytest.param("/feeds/all.atom", {"Authorization": "Basic !!!"}, 401, id="not to be read"),
        pytest.param("/feeds/all.atom", {"Authorization": "Basic ñ"}, 401, id="not even ASCII"),
        pytest.param("/feeds/all.atom", {"Authorization": f"Bearer {TOKEN}"}, 401, id="another scheme"),
        pytest.param("/openapi.json", {}, 401, id="the API"),
        pytest.param("/openapi.json", basic(TOKEN), 200, id="the API, with the token"),
        pytest.param("/healthz", {}, 200, id="health is for all"),
    ],
)
def test_a_program_brings_the_password_or_the_token(
    house: Client, path: str, headers: dict[str, str], status: int
) -> None:
    answer = house(path, **headers)
    assert answer.status == status
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Basic realm="aggregator", charset="UTF-8"'
        assert answer.headers["cache-control"] == "no-store"
        kind = "application/problem+json" if path == "/openapi.json" else "text/plain"
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"


def test_a_password_that_was_right_is_not_hashed_again(
    house: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert house("/opml", **basic(PASSWORD)).status == 200

    def fail(*_: object) -> bool:
        raise AssertionError

    monkeypatch.setattr(auth_module, "_verified", fail)
    assert house("/opml", **basic(PASSWORD)).status == 200


@pytest.mark.parametrize("password", [PASSWORD, HASH], ids=["a plain word", "its hash"])
def test_the_password_may_be_given_plain_or_hashed(password: str) -> None:
    access = Access(password)
    scope = scope_of(**basic(PASSWORD))
    assert asyncio.run(access.visitor(scope)) == Visitor(may_change=True)


def test_a_hash_that_is_none_is_refused_at_the_start() -> None:
    for broken in ("$argon2id$", HASH[:40], HASH.replace("v=19", "v=x"), hashed("")):
        with pytest.raises(ConfigError, match="`aggregator password` prints one") as caught:
            Access(broken)
        assert broken not in str(caught.value)


def test_no_secret_is_shown() -> None:
    settings = Settings(web=WebSettings(password=PASSWORD))
    assert PASSWORD not in repr(settings)


# ----------------------------------------------------------------------------------------- changes


def scope_of(
    client: str = "192.0.2.1", query: str = "", scheme: str = "http", **headers: str
) -> dict[str, Any]:
    given = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http",
        "scheme": scheme,
        "method": "GET",
        "path": "/",
        "query_string": query.encode(),
        "client": (client, 1),
        "headers": given,
    }


def test_the_token_reads_and_the_password_changes(house: Client) -> None:
    reading = csrf(house("/login", Accept=BROWSER))
    assert post(house, "/logout", {"csrf": reading}, **basic(TOKEN)).status == 403
    assert post(house, "/logout", {"csrf": reading}, Accept="*/*").status == 401
    assert post(house, "/logout", {"csrf": reading}).headers["location"] == "/login?to=%2F"
    assert asyncio.run(Access(HASH, TOKEN).visitor(scope_of(query=f"token={TOKEN}"))) == Visitor(
        may_change=False
    )
    assert asyncio.run(Access(None, TOKEN).visitor(scope_of(**basic(TOKEN)))) == Visitor(may_change=True)
    assert asyncio.run(Access().visitor(scope_of())) == Visitor(may_change=True)


def test_without_a_password_the_token_logs_in(tmp_path: Path) -> None:
    with house_of(tmp_path, token=TOKEN) as client:
        assert log_in(client, "wrong").status == 403
        done = log_in(client, TOKEN)
        assert client("/opml", Cookie=cookie(done)).status == 200


VISITORS = [
    pytest.param(Visitor(may_change=True), id="anybody on loopback"),
    pytest.param(Visitor(may_change=True, session="s1"), id="a session"),
]


@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize(
    ("token", "given", "allowed"),
    [
        pytest.param("ours", {"Sec_Fetch_Site": "same-origin"}, True, id="our form"),
        pytest.param("", {"Sec_Fetch_Site": "same-origin"}, False, id="no token"),
        pytest.param("another", {"Sec_Fetch_Site": "same-origin"}, False, id="another's token"),
        pytest.param("nobody", {"Sec_Fetch_Site": "same-origin"}, False, id="the token of the login page"),
        pytest.param("ours", {"Sec_Fetch_Site": "cross-site"}, False, id="another site"),
        pytest.param("ours", {"Sec_Fetch_Site": "same-site"}, False, id="a sister site"),
        pytest.param("ours", {"Sec_Fetch_Site": "none"}, True, id="the address bar"),
        pytest.param("ours", {"Origin": "http://evil.example"}, False, id="another origin"),
        pytest.param("ours", {"Origin": "http://[::1"}, False, id="a broken origin"),
        pytest.param("ours", {"Origin": "http://news.example:8000"}, True, id="our origin"),
        pytest.param("ours", {"Origin": "null"}, True, id="an origin that is not said"),
        pytest.param("", {"Origin": "null"}, False, id="an origin that is not said, and no token"),
        pytest.param("ours", {}, True, id="a program that knows the token"),
    ],
)
def test_a_change_comes_from_a_page_of_ours(
    visitor: Visitor, token: str, given: dict[str, str], allowed: bool
) -> None:
    access = Access()
    tokens = {
        "ours": access.form_token(visitor),
        "another": access.form_token(Visitor(may_change=True, session="s2")),
        "nobody": access.form_token(None),
        "": "",
    }
    assert send(access, visitor, {"csrf": tokens[token], "level": "story"}, **given) == (
        200 if allowed else 403
    )


@pytest.mark.parametrize("path", ["/logout", "/sources/1/poll", "/entries/1/split", "/entries/1/merge"])
def test_every_change_goes_through_the_guard(open_house: Client, house: Client, path: str) -> None:
    assert post(open_house, path, {}).status == 403
    assert post(open_house, path, {}, Sec_Fetch_Site="cross-site").status == 403
    assert post(house, path, {}, Accept="*/*").status == 401
    assert post(house, path, {}, **basic(TOKEN)).status == 403
    assert "POST" in open_house(path, "PUT").headers["allow"]


def test_a_reader_changes_nothing() -> None:
    access, visitor = Access(HASH, TOKEN), Visitor(may_change=False)
    assert send(access, visitor, {"csrf": access.form_token(visitor)}) == 403


def send(access: Access, visitor: Visitor, form: Mapping[str, str], **given: str) -> int:
    """The answer of a guarded route; what it would change is changed only with a 200."""
    body = urlencode(form).encode()
    changed: list[tuple[str, str]] = []

    async def change(request: Request, fields: Mapping[str, str]) -> Response:
        changed.append((request.url.path, fields["level"]))
        return Response()

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    kind = "application/x-www-form-urlencoded"
    scope = scope_of(Host="news.example:8000", Content_Type=kind, **given)
    request = Request(
        {**scope, "method": "POST", "path": "/entries/7/split", "state": {"visitor": visitor}}, receive
    )

    async def run() -> int:
        try:
            return (await access.guarded(change)(request)).status_code
        except RefusedError as error:
            return int(error.status)

    status = asyncio.run(run())
    assert changed == ([("/entries/7/split", "story")] if status == 200 else [])
    return status


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        pytest.param(b"csrf=" + b"x" * FORM_BYTES, "application/x-www-form-urlencoded", 413, id="too large"),
        pytest.param(b'{"csrf": "x"}', "application/json", 415, id="JSON"),
        pytest.param(b"csrf=x", "text/plain", 415, id="what forms of other sites may send"),
        pytest.param(b"", "application/x-www-form-urlencoded", 403, id="empty"),
        pytest.param(b"\xff%ff=%zz&&==", "application/x-www-form-urlencoded", 403, id="rubbish"),
    ],
)
def test_a_form_is_small_and_a_form(open_house: Client, body: bytes, kind: str, status: int) -> None:
    assert post(open_house, "/logout", body, Content_Type=kind).status == status


@pytest.mark.parametrize(
    "path", ["/", "/opml", "/healthz", "/feeds/all.atom", "/openapi.json", "/static/style.css"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_what_only_reads_takes_nothing(open_house: Client, path: str, method: str) -> None:
    answer = open_house(path, method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_looking_changes_nothing(house: Client) -> None:
    session = cookie(log_in(house))
    answer = house("/logout", Cookie=session)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert house("/opml", Cookie=session).status == 200


# --------------------------------------------------------------------------------------- sessions


def test_a_session_ends_by_itself() -> None:
    now = 0.0
    access = Access(HASH, clock=lambda: now)

    async def visits() -> list[bool]:
        nonlocal now
        sent = await access.log_in(scope_of(), PASSWORD)
        assert sent is not None
        scope = scope_of(Cookie=sent.partition(";")[0])
        found = []
        for moment in (SESSION - 1.0, SESSION + 1.0):
            now = moment
            found.append(await access.visitor(scope) is not None)
        return found

    assert asyncio.run(visits()) == [True, False]


def test_there_are_never_too_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_module, "SESSIONS", 3)
    assert SESSIONS >= 100
    access = Access(HASH)

    async def visits() -> list[bool]:
        sent = [await access.log_in(scope_of(), PASSWORD) or "" for _ in range(5)]
        scopes = [scope_of(Cookie=each.partition(";")[0]) for each in sent]
        return [await access.visitor(scope) is not None for scope in scopes]

    assert asyncio.run(visits()) == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("https", "scheme", "secure"), [(False, "http", False), (False, "https", True), (True, "http", True)]
)
def test_a_cookie_of_https_is_sent_by_https_alone(https: bool, scheme: str, secure: bool) -> None:
    sent = asyncio.run(Access(HASH, https=https).log_in(scope_of(scheme=scheme), PASSWORD))
    assert sent is not None
    assert ("; Secure" in sent) is secure


# ----------------------------------------------------------------------------------------- guesses


def test_guessing_gets_slower_for_who_guesses() -> None:
    guesses = Guesses()
    waits = [guesses.count("a") for _ in range(12)]
    assert waits[:4] == [0.05, 0.1, 0.2, 0.4]
    assert waits[-1] == Guesses.LONGEST
    assert guesses.count("b") == Guesses.FIRST
    guesses.right("a")
    assert guesses.count("a") == Guesses.FIRST


def test_many_connections_guess_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wrong answer waits; who is owed some gets no further one, right or wrong."""
    monkeypatch.setattr(Guesses, "LONGEST", 0.05)
    access = Access(None, TOKEN)

    async def ask(token: str, client: str = "192.0.2.1") -> str:
        try:
            return "no" if await access.visitor(scope_of(client, f"token={token}")) is None else "yes"
        except RefusedError as error:
            return str(error.status.value)

    async def attack() -> list[str]:
        guesses = [ask(str(number)) for number in range(6)]
        return await asyncio.gather(*guesses, ask(TOKEN), ask(TOKEN, "192.0.2.2"))

    assert asyncio.run(attack()) == ["no"] * Guesses.OWED + ["429", "429", "429", "yes"]
    assert asyncio.run(ask(TOKEN)) == "yes", "nothing is owed any more"


def test_passwords_are_checked_one_at_a_time_and_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most, checks = 0, 0, 0

    def slow(_: str, __: str) -> bool:
        nonlocal at_once, most, checks
        checks += 1
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.01)
        at_once -= 1
        return False

    monkeypatch.setattr(auth_module, "_verified", slow)
    monkeypatch.setattr(Guesses, "FIRST", 0.0)
    access = Access(HASH)

    async def guess(number: int) -> int:
        try:
            await access.visitor(scope_of(f"192.0.2.{number}", **basic(f"guess {number}")))
        except RefusedError as error:
            return error.status * int(error.headers["Retry-After"])
        return 401

    async def attack() -> list[int]:
        return await asyncio.gather(*(guess(number) for number in range(50)))

    found = asyncio.run(attack())
    assert most == 1
    assert checks == found.count(401) == auth_module.QUEUE + 1
    assert found.count(429) == 50 - checks


def test_the_readers_token_helps_not_to_guess_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    count = Guesses.count

    def noted(self: Guesses, client: str) -> float:
        waits.append(count(self, client))
        return 0.0

    monkeypatch.setattr(Guesses, "count", noted)
    monkeypatch.setattr(auth_module, "_verified", lambda *_: False)
    access = Access(HASH, TOKEN)

    async def attack() -> None:
        for _ in range(3):
            assert await access.visitor(scope_of(**basic("guess"))) is None
            assert await access.visitor(scope_of(**basic(TOKEN))) == Visitor(may_change=False)

    asyncio.run(attack())
    assert waits == [0.05, 0.1, 0.2]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_whose_guesses_are_counted_together(address: str, expected: str) -> None:
    assert client_of(scope_of(address)) == expected
    assert client_of({"client": None}) == ""


def test_a_stranger_is_not_told_what_is_watched(tmp_path: Path) -> None:
    settings = Settings(
        topics=(config.pack_document("caribbean-tension"),),
        web=WebSettings(password=HASH),
        database=str(tmp_path / "a.db"),
    )
    with Aggregator(settings) as site, serving(make_app(site)) as client:
        assert "Caribbean" in client("/", Accept=BROWSER, **basic(PASSWORD)).text
        for path, host in (("/login", "localhost"), ("/", "evil.example"), ("/push/x", "localhost")):
            assert "aribbean" not in client(path, Accept=BROWSER, Host=host).text


def test_what_one_may_see_is_part_of_the_tag(house: Client) -> None:
    reader = client_tag(house, basic(TOKEN))
    assert reader == client_tag(house, basic(TOKEN))
    assert reader != client_tag(house, basic(PASSWORD))


def client_tag(client: Client, word: Mapping[str, str]) -> str:
    return client("/", Accept=BROWSER, **word).headers["etag"]


# ------------------------------------------------------------------------------------ foreign HTML


@pytest.mark.parametrize(
    ("html", "hidden", "kept"),
    [
        pytest.param("<p>Kapal</p>", "<p>Kapal</p>", "<p>Kapal</p>", id="text"),
        pytest.param(
            '<p><img src="https://a.example/1.png" alt="A &gt; B"></p>',
            "<p>[A &gt; B]</p>",
            '<p><img loading="lazy" src="https://a.example/1.png" alt="A &gt; B"></p>',
            id="an image",
        ),
        pytest.param(
            '<img src="https://a.example/1.png">',
            "",
            '<img loading="lazy" src="https://a.example/1.png">',
            id="without words",
        ),
        pytest.param('<img src="/1.png" alt="">', "", "", id="a relative address"),
        pytest.param('<img src="http://a.example/1.png" alt="A">', "[A]", "[A]", id="not secure"),
        pytest.param("<img src=x onerror=alert(1)><script>x</script>", "", "", id="hostile"),
        pytest.param("<h1>A</h1><h4 lang=es>B</h4>", *['<h2>A</h2><h2 lang="es">B</h2>'] * 2, id="headings"),
        pytest.param(
            "<table><tr><th> <b></b></th><th scope=col>A</th></tr></table>",
            *['<table><tbody><tr><td> <b></b></td><th scope="col">A</th></tr></tbody></table>'] * 2,
            id="a header of nothing",
        ),
        pytest.param(
            '<a href="https://a.example/"><b></b> </a>x', *["<b></b> x"] * 2, id="a link of nothing"
        ),
        pytest.param('<img alt="<b>">', "[&lt;b&gt;]", "[&lt;b&gt;]", id="markup in words"),
    ],
)
def test_what_is_foreign_is_made_clean_again(html: str, hidden: str, kept: str) -> None:
    assert shown(html, "hide") == hidden
    assert shown(html, "show") == kept


@given(st.text(alphabet="<>\"'= /abimgscrtonl&;-", max_size=80))
def test_what_is_hidden_holds_no_image(html: str) -> None:
    assert not re.search(r"<(img|script)\b|\son\w+=[^<]*>", shown(f"<img {html}", "hide"))


PIECES = ["<h1>", "</h4>", "<th>", "</th>", "<table>", "<a href='https://a.example/' title='", "</a>", "'>", '"', "<b>", "<", ">", " ", "x",
          "<script>", "&lt;"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_what_is_shown_has_the_words_that_were_sanitised_and_nothing_out_of_an_attribute(html: str) -> None:
    was, now = (re.sub(r"<[^<>]*>", "", text) for text in (sanitise(html, None), str(shown(html, "hide"))))
    assert now == was
    assert "<" not in now


def test_remote_images_are_loaded_only_where_the_operator_says_so(tmp_path: Path) -> None:
    def policy(images: str) -> str:
        return dict(headers(images))[b"content-security-policy"].decode()

    assert "img-src 'self';" in policy("hide")
    assert "img-src 'self' https:;" in policy("show")
    with house_of(tmp_path, images="show") as client:
        assert client("/healthz").headers["content-security-policy"] == policy("show")
