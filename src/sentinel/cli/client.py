"""The running daemon, as the commands reach it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sentinel.cli.config import EX_CONFIG, fail

if TYPE_CHECKING:
    import httpx

OWN = "/api/sentinel/v1"
DEFAULT_URL = "http://127.0.0.1:9788"
DEADLINE = 30.0

UrlOption = Annotated[str, typer.Option("--url", envvar="SENTINEL_URL", help="Where the daemon listens.")]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="File that holds an operator token; else SENTINEL_TOKEN is used."),
]


class Daemon:
    """Asks the daemon; every failure ends the command with one clear line."""

    def __init__(self, url: str, token_file: Path | None = None) -> None:
        self._url = url.rstrip("/")
        if not self._url.startswith(("http://", "https://")):
            fail(f"not an address: {url} (write {DEFAULT_URL})", 2)
        self._token_file = token_file

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
        return self._answer(self._ask("GET", path, parameters=parameters))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """A write, with the token."""
        headers = {"Authorization": f"Bearer {self._token()}"}
        return self._answer(self._ask("POST", path, body=body, headers=headers))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """A change, with the token."""
        headers = {"Authorization": f"Bearer {self._token()}"}
        return self._answer(self._ask("PATCH", path, body=body, headers=headers))

    def delete(self, path: str) -> Any:
        """An end, with the token."""
        headers = {"Authorization": f"Bearer {self._token()}"}
        return self._answer(self._ask("DELETE", path, headers=headers))

    def ask_prometheus(self, path: str, form: Mapping[str, str]) -> Any:
        """`data` of an answer in Prometheus' envelope."""
        answer = self._ask("POST", path, form=form)
        envelope = self._json(answer)
        if not isinstance(envelope, dict) or envelope.get("status") != "success":
            is_usage = isinstance(envelope, dict) and envelope.get("errorType") == "bad_data"
            fail(_error_of(envelope) or f"the daemon answered {answer.status_code}", 2 if is_usage else 1)
        for warning in envelope.get("warnings", ()):
            typer.echo(f"warning: {warning}", err=True)
        return envelope["data"]

    def _ask(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        import httpx

        try:
            # Not through a proxy: loopback and the management network are reached directly.
            with httpx.Client(timeout=DEADLINE, trust_env=False) as client:
                return client.request(
                    method, self._url + path, params=parameters, json=body, data=form, headers=headers
                )
        except httpx.TimeoutException:
            fail(f"no answer from {self._url} within {DEADLINE:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            hint = "is it running? 'sentinel run' starts it, --url or SENTINEL_URL says where it is"
            fail(f"cannot reach the daemon at {self._url} ({error}); {hint}")

    def _answer(self, answer: httpx.Response) -> Any:
        if not answer.is_success:
            _refused(answer)
        return self._json(answer)

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            fail(f"what answers at {self._url} is not Sentinel (status {answer.status_code})")

    def _token(self) -> str:
        if self._token_file is not None:
            try:
                token = self._token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                fail(f"cannot read the token file {self._token_file}: {error}", EX_CONFIG)
        else:
            token = os.environ.get("SENTINEL_TOKEN", "").strip()
        if not token:
            how = "make one with 'sentinel token create NAME', pass it in SENTINEL_TOKEN or --token-file"
            fail(f"this needs an operator token: {how}", 2)
        if not token.isascii() or not token.isprintable() or " " in token:
            fail("the token has characters that no token has", 2)
        return token


def _refused(answer: httpx.Response) -> NoReturn:
    if answer.status_code == 401:
        fail(f"the daemon refused the token: {answer.text.strip()}")
    try:
        text = _error_of(answer.json())
    except ValueError:
        text = answer.text.strip()[:500]
    fail(text or f"the daemon answered {answer.status_code}", 2 if answer.status_code == 422 else 1)


def _error_of(answer: Any) -> str:
    return str(answer.get("error", "")) if isinstance(answer, dict) else ""
