"""Static files from memory, under an address that holds the hash of all of them: cached for ever, never stale.

No build step: one CSS file per component is joined in the order of ``css/order.txt``; scripts are modules that import
each other by relative address, which stays true below any hash. A few hundred kilobytes at most, compressed once.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified

ROOT = Path(__file__).parent / "static"
STYLES = "app.css"
FOR_EVER = "public, max-age=31536000, immutable"
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("image/svg+xml", ".svg")


@dataclass(frozen=True)
class Asset:
    content: bytes
    packed: bytes
    kind: str


@dataclass(frozen=True)
class Assets:
    """Every static file by its path, the joined styles among them; ``mark`` is the hash over all."""

    files: dict[str, Asset]
    mark: str

    def url(self, path: str) -> str:
        """Raises KeyError for a file that is not there: a template's mistake."""
        if path not in self.files:
            raise KeyError(f"web/static has no {path!r}")
        return f"/static/{self.mark}/{path}"


@cache
def assets() -> Assets:
    """Read once a process."""
    files = {STYLES: _asset(STYLES, styles(ROOT / "css").encode())}
    for path in sorted(ROOT.rglob("*")):
        if path.is_file() and path.parent.name != "css":
            name = path.relative_to(ROOT).as_posix()
            files[name] = _asset(name, path.read_bytes())
    digest = hashlib.sha256()
    for name, asset in files.items():
        digest.update(name.encode() + b"\0" + asset.content + b"\0")
    return Assets(files, digest.hexdigest()[:16])


def styles(folder: Path) -> str:
    """The components' styles in one file: first those that the order names, then the rest by name."""
    first = [f"{name}.css" for name in (folder / "order.txt").read_text().split()]
    rest = sorted(path.name for path in folder.glob("*.css") if path.name not in first)
    return "\n".join((folder / name).read_text() for name in (*first, *rest))


def serve(request: HttpRequest, mark: str, path: str) -> HttpResponse:
    """``/static/<mark>/<path>``. An old mark, of a page from before an upgrade, gets the present file, uncached."""
    known = assets()
    asset = known.files.get(path)
    if asset is None or request.method not in ("GET", "HEAD"):
        return HttpResponse("There is no such file.", status=404, content_type="text/plain")
    etag = f'"{known.mark}"'
    headers = {
        "Cache-Control": FOR_EVER if mark == known.mark else "no-cache",
        "ETag": etag,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", "").lower():
        headers["Content-Encoding"] = "gzip"
        return HttpResponse(asset.packed, content_type=asset.kind, headers=headers)
    return HttpResponse(asset.content, content_type=asset.kind, headers=headers)


def _asset(name: str, content: bytes) -> Asset:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind == "image/svg+xml":
        kind += "; charset=utf-8"
    return Asset(content, gzip.compress(content, 9, mtime=0), kind)
