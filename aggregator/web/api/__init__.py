"""The API: read-only JSON for programs, described by `/openapi.json` (OpenAPI 3.1).

One table, `OPERATIONS`, says for each path which query it takes, what it answers and how that is found; routes,
checks and description are all made from it. Field names are those of the store (docs/store.md) and stay.

Lists come in pages: `next` and the `Link` header (RFC 8288) hold the address of the one that follows. Errors are
problem details (RFC 9457). An answer carries an `ETag`; for what is made of entries alone it is known from the
store's version, so that "nothing new" costs no query.

    questions   what may be asked        answers   what is answered
    operations  the table, and how each answer is found
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pydantic.json_schema import models_json_schema
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from aggregator.app import Aggregator
from aggregator.errors import QueryError, UnknownError
from aggregator.web.api.answers import Invalid, Problem
from aggregator.web.api.operations import LARGEST, OPERATIONS, SQL, Operation, described
from aggregator.web.api.questions import Query, understood
from aggregator.web.feeds import coded, header, not_modified

LONGEST_PATH = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Api:
    """Everything below `/api/`, and `/openapi.json`: a bare ASGI application."""

    def __init__(self, site: Aggregator) -> None:
        self._site = site
        operations = (*OPERATIONS, SQL) if site.settings.web.sql else OPERATIONS
        self._routes = [(compile_path(operation.path), operation) for operation in operations]
        self._version = version("aggregator")

    @staticmethod
    def serves(path: str) -> bool:
        """Whether a path is the API's."""
        return path.startswith("/api/") or path in {"/api", "/openapi.json"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one GET or HEAD.

        Raises:
            AggregatorError: it cannot be answered now.
        """
        try:
            response = await run_in_threadpool(self._response, scope)
        except UnknownError as error:
            response = self.error(scope, 404, "Not here", str(error))
        except QueryError as error:
            response = self.error(scope, 400, "Not a question we can answer", str(error))
        await response(scope, receive, send)

    def error(
        self,
        _: Scope,
        status: int,
        title: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Invalid] = (),
    ) -> Response:
        """An answer that says what is wrong and what would be right (RFC 9457)."""
        problem = Problem(title=title, status=status, detail=text, errors=tuple(errors))
        headers = {
            "Cache-Control": "no-store",
            "Content-Type": "application/problem+json; charset=utf-8",
            **(headers or {}),
        }
        return Response(problem.model_dump_json(), status, headers)

    def _response(self, scope: Scope) -> Response:
        if scope["path"] == "/openapi.json":
            return _document(scope, self._description)
        for (pattern, _, convertors), operation in self._routes:
            found = pattern.match(scope["path"]) if len(scope["path"]) < LONGEST_PATH else None
            if found:
                at = {name: convertors[name].convert(value) for name, value in found.groupdict().items()}
                if at.get("id", 0) <= LARGEST:
                    return self._operate(scope, operation, at)
        raise UnknownError("There is nothing at this address; /openapi.json describes what there is.")

    def _operate(self, scope: Scope, operation: Operation, at: Mapping[str, Any]) -> Response:
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        asked = [(name, value) for name, value in given if name != "token"]
        query = understood(operation.query, asked)
        if not isinstance(query, Query):
            text = "; ".join(f"{error.parameter}: {error.detail}" for error in query)
            return self.error(scope, 400, "Not a question we can answer", text, errors=query)
        known = None
        if operation.versioned:
            state = f"{self._version} {self._site.version()} {scope['path']}?{urlencode(sorted(asked))}"
            known = _tag(state.encode())
            if _has(scope, known):
                return _unchanged(known)
        answer, following = operation.run(self._site, at, query)
        headers = {}
        if following is not None:
            again = [*((name, value) for name, value in given if name != "cursor"), ("cursor", following)]
            address = f"{scope['path']}?{urlencode(again)}"
            headers["Link"] = f'<{address}>; rel="next"'
            answer = answer.model_copy(update={"next": address})
        return _document(scope, answer.model_dump_json().encode(), known, headers)

    @cached_property
    def _description(self) -> bytes:
        return json.dumps(self.description(), ensure_ascii=False).encode()

    def description(self) -> dict[str, Any]:
        """The OpenAPI document."""
        answers = {operation.answer for _, operation in self._routes} | {Problem}
        _, schemas = models_json_schema(
            [(answer, "serialization") for answer in sorted(answers, key=lambda answer: answer.__name__)],
            ref_template="#/components/schemas/{model}",
        )
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "aggregator",
                "version": self._version,
                "summary": "Read-only access to feeds, entries, articles and stories.",
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": "/"}],
            "security": [{}, {"password": []}, {"token": []}],
            "paths": {
                path: {"get": described(operation, parameters)}
                for (_, path, parameters), operation in self._routes
            },
            "components": {
                "schemas": schemas["$defs"],
                "securitySchemes": {
                    "password": {
                        "type": "http",
                        "scheme": "basic",
                        "description": "Any user name; the password, or the token.",
                    },
                    "token": {"type": "apiKey", "in": "query", "name": "token"},
                },
            },
        }


def _document(
    scope: Scope, body: bytes, etag: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON document, or 304 where the client has it already."""
    etag = etag or _tag(body)
    if _has(scope, etag):
        return _unchanged(etag)
    body, coding = coded(scope, body)
    return Response(
        body,
        headers={**_kept(etag), **coding, **(headers or {})},
        media_type="application/json; charset=utf-8",
    )


def _unchanged(etag: str) -> Response:
    return Response(status_code=304, headers=_kept(etag))


def _kept(etag: str) -> dict[str, str]:
    """How an answer may be kept; its tag is weak, for it is the same in each coding (RFC 9110 §8.8.1)."""
    return {"ETag": f"W/{etag}", "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}


def _has(scope: Scope, etag: str) -> bool:
    return not_modified(header(scope, b"if-none-match"), None, etag, _EPOCH)


def _tag(state: bytes) -> str:
    return f'"{blake2b(state, digest_size=16).hexdigest()}"'
