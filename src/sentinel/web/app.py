"""The HTTP application: routes, and in front of them the guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response

import sentinel
from sentinel.db.database import is_passing
from sentinel.incidents.incidents import NoSuchIncidentError, NotPossibleError
from sentinel.notify.desk import NoSuchMessageError
from sentinel.notify.explaining import NoSuchAlertError
from sentinel.notify.mutes.drafts import InvalidSilenceError
from sentinel.notify.mutes.silences import NoSuchSilenceError
from sentinel.web.alertmanager.answers import RefusedError
from sentinel.web.alertmanager.routes import PREFIX as ALERTMANAGER_API
from sentinel.web.alertmanager.routes import alertmanager_router, answer_refused, refuse
from sentinel.web.assets import Assets
from sentinel.web.explaining import explaining_router
from sentinel.web.guard import Guard
from sentinel.web.live import Live
from sentinel.web.machines import machine_router
from sentinel.web.on_demand import on_demand_router
from sentinel.web.outbox import outbox_router
from sentinel.web.own import own_router
from sentinel.web.pages import Pages, page_router
from sentinel.web.parameters import ApiError
from sentinel.web.probing import probing_router
from sentinel.web.prometheus import answer_error, failure, prometheus_router
from sentinel.web.receiving import receiving_route
from sentinel.web.rendering import Rendering
from sentinel.web.seams.faces import Faces
from sentinel.web.silences import silence_router

OWN_API = "/api/sentinel/"
PROMETHEUS_API = "/api/v1/"


def create_app(faces: Faces, registry: CollectorRegistry) -> FastAPI:
    """The application; `app.state.live` has to run beside it (`serve` does that)."""
    assets = Assets()
    rendering = Rendering(faces.site, assets)
    live = Live(faces, rendering, registry)
    pages = Pages(faces, rendering)
    app = FastAPI(
        title="Sentinel",
        version=sentinel.__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[Middleware(Guard, site=faces.site, tokens=faces.tokens)],
        responses={422: {"description": "The request cannot be read"}},
    )
    app.state.live = live
    app.router.routes.insert(0, receiving_route(faces))
    app.include_router(machine_router(faces))
    app.include_router(on_demand_router(faces))
    app.include_router(probing_router(faces))
    app.include_router(own_router(faces, live))
    if faces.outbox is not None:
        app.include_router(outbox_router(faces.outbox))
    if faces.explaining is not None:
        app.include_router(explaining_router(faces.explaining))
    if faces.silences is not None:
        app.include_router(silence_router(faces, faces.silences))
    app.include_router(prometheus_router(faces))
    app.include_router(alertmanager_router(faces))
    app.include_router(page_router(faces, pages, live, assets))
    _add_error_answers(app, pages)
    return app


def _refused(pages: Pages, request: Request, status: int, text: str) -> Response:
    path = request.url.path
    if path.startswith(PROMETHEUS_API):
        kind = {404: "not_found", 500: "internal", 503: "unavailable"}.get(status, "bad_data")
        return failure(kind, text, status)
    if path.startswith(f"{ALERTMANAGER_API}/"):
        return refuse(request, status, text)
    if path.startswith("/api/"):
        return JSONResponse({"error": text}, status)
    if status == 404 and request.method == "GET":
        return pages.missing(request)
    return PlainTextResponse(text + "\n", status)


def _add_error_answers(app: FastAPI, pages: Pages) -> None:
    """Each face has its own way of saying no; none says more than the reader needs."""

    refused = partial(_refused, pages)

    def saying(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
        """Answers with the error's own words."""

        async def answer(request: Request, error: Exception) -> Response:
            return refused(request, status, str(error))

        return answer

    async def unreadable(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        is_page = not request.url.path.startswith("/api/")
        return refused(request, 404 if is_page else 422, "; ".join(found))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = refused(request, error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    async def database_busy(request: Request, error: Exception) -> Response:
        if not is_passing(error):
            raise error
        answer = refused(request, 503, "the database does not take this now; try again")
        answer.headers["Retry-After"] = "5"
        return answer

    async def bug(request: Request, error: Exception) -> Response:
        return refused(request, 500, "internal error; the daemon's log says more")

    app.add_exception_handler(ApiError, answer_error)
    app.add_exception_handler(RefusedError, answer_refused)
    app.add_exception_handler(NoSuchIncidentError, saying(404))
    app.add_exception_handler(NoSuchMessageError, saying(404))
    app.add_exception_handler(NoSuchAlertError, saying(404))
    app.add_exception_handler(NoSuchSilenceError, saying(404))
    app.add_exception_handler(NotPossibleError, saying(409))
    app.add_exception_handler(InvalidSilenceError, saying(422))
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(DBAPIError, database_busy)
    app.add_exception_handler(Exception, bug)
