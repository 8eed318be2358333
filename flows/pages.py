"""What `timnet show` answers: pages, recordings and the report's files, to this machine's own browser alone.

What a request names is looked up in the run's own tables; no part of it ever becomes a path.
"""

import re

from starlette.applications import Starlette
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from timnet.errors import ConfigError, TimnetError
from timnet.report import browse
from timnet.report.ranking import Choice
from timnet.report.shown import Shown

HOSTS = ["127.0.0.1", "localhost"]  # any other name is one that somebody pointed at this machine
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",  # or another site's page could play the recordings
    "Cache-Control": "no-store",
}
FILES = {  # of the report
    "summary.json": "application/json",
    "results.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "metrics.parquet": "application/vnd.apache.parquet",
    "predictions.parquet": "application/vnd.apache.parquet",
}
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Address(PathConvertor):
    """The rest of an address, whatever is in it: names of files may hold slashes and line breaks."""

    regex = "(?s:.*)"


register_url_convertor("address", Address())


def application(shown: Shown) -> Starlette:
    """The server's answers for a run; every handler is a plain function, which runs in a thread."""
    folder = f"runs/{shown.facts['run_id']}/report"

    def report(_: Request) -> Response:
        return HTMLResponse(browse.with_bar(shown, shown.store.read_bytes(f"{folder}/index.html").decode()))

    def file(request: Request) -> Response:
        name = request.url.path[1:]  # one of FILES: there are no other routes to here
        return Response(shown.store.read_bytes(f"{folder}/{name}"), media_type=FILES[name])

    def utterances(request: Request) -> Response:
        ranking = shown.ranking(request.query_params.get("corpus"))
        if ranking is None:
            return missing(request)
        number = request.query_params.get("page", "1")
        if not re.fullmatch(r"[0-9]{1,9}", number):
            raise ConfigError(f"page={number} is not a page's number; allowed are 1 and more.")
        return HTMLResponse(browse.the_list(shown, ranking, Choice.of(request.query_params), int(number)))

    def utterance(request: Request) -> Response:
        found = shown.find(request.path_params["address"])
        if found is None:
            return missing(request)
        return HTMLResponse(browse.one_utterance(shown, *found, Choice.of(request.query_params)))

    def recording(request: Request) -> Response:
        found = shown.find(request.path_params["address"])
        if found is None:
            return missing(request)
        sound = shown.sound(*found)
        return ranged(request, sound.data, sound.content_type)

    def missing(_: Request) -> Response:
        reason = "The run has no page of this name. The report and the list of utterances lead to all there are."
        return HTMLResponse(browse.refused(shown, "Not here", reason), 404)

    def missing_route(request: Request, _: Exception) -> Response:
        return missing(request)

    def wrong(_: Request, error: Exception) -> Response:
        status = 400 if isinstance(error, ConfigError) else 404
        return HTMLResponse(browse.refused(shown, "This cannot be shown", str(error)), status)

    return Starlette(
        routes=[
            Route("/", report),
            *(Route(f"/{name}", file) for name in FILES),
            Route("/utterances", utterances),
            Route("/utterances/{address:address}", utterance),
            Route("/audio/{address:address}", recording),
        ],
        middleware=[
            Middleware(Guarded),
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
        ],
        exception_handlers={404: missing_route, TimnetError: wrong},
    )


class Guarded:
    """Puts HEADERS on every answer, also on those that refuse."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


def ranged(request: Request, data: bytes, content_type: str) -> Response:
    """All of the bytes, or the one range that was asked for: browsers seek in recordings by it."""
    headers = {"Accept-Ranges": "bytes"}
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    # Of several ranges, of what is no range and of ranges of an earlier version all of it is a right answer (RFC 9110).
    if asked is None or asked[1] == asked[2] == "" or "if-range" in request.headers:
        return Response(data, media_type=content_type, headers=headers)
    first, last = _ends(asked[1], asked[2], len(data))
    if first > last:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, headers, content_type)


def _ends(first: str, last: str, n_bytes: int) -> tuple[int, int]:
    """First and last byte of a range, the last inclusive; first > last where no byte is in it."""
    if not first:  # the last so many
        return max(n_bytes - int(last), 0), n_bytes - 1
    return int(first), min(int(last) if last else n_bytes - 1, n_bytes - 1)
