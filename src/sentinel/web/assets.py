"""Static files, each under a name that contains its content's hash, kept compressed in memory."""

from __future__ import annotations

import gzip
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "static"
VENDOR = ("vendor/htmx.js", "vendor/sse.js")
"""Copied at build time out of the django-htmx wheel (hatch_build.py)."""
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    compressed: bytes
    media_type: str
    url: str


class Assets:
    """The files of web/static."""

    def __init__(self, folder: Path = FOLDER) -> None:
        files = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES)
        self._by_name = {path.relative_to(folder).as_posix(): _load(path) for path in files}
        self._by_url = {asset.url: asset for asset in self._by_name.values()}
        missing = [name for name in VENDOR if name not in self._by_name]
        if missing:
            log.warning("pages are not live: built without htmx", extra={"facts": {"missing": missing}})

    def url(self, name: str) -> str:
        """Where a file is served, or an empty string where the build left it out."""
        asset = self._by_name.get(name)
        return asset.url if asset else ""

    def answer(self, request: Request) -> Response:
        """The file for ever, since another content has another name."""
        asset = self._by_url.get(request.url.path)
        if asset is None:
            return PlainTextResponse("not found\n", 404)
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if accepts_gzip(request):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.compressed, headers=headers, media_type=asset.media_type)
        return Response(asset.content, headers=headers, media_type=asset.media_type)


def accepts_gzip(request: Request) -> bool:
    """Whether the client takes gzip (RFC 9110 §12.5.3; a weight of zero means no)."""
    for part in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = part.strip().partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _load(path: Path) -> _Asset:
    content = path.read_bytes()
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    url = f"/static/{path.stem}.{digest}{path.suffix}"
    return _Asset(content, gzip.compress(content, 9, mtime=0), _TYPES[path.suffix], url)
