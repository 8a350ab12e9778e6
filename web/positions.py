"""What a person last wrote, as WAL positions per source: a panel is "updating" until its watermark has passed them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings
from django.http import HttpRequest, HttpResponse

COOKIE = "hw_seen"
COOKIE_SECONDS = 600
_FORM = re.compile(r"([a-z_]{1,40})=([0-9A-F]{1,8})/([0-9A-F]{1,8})")


def lsn_of(text: str) -> int:
    """``16/B374D848`` as a number. Raises ValueError."""
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def lsn_text(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


@dataclass(frozen=True)
class Positions:
    """Source → the position of the person's last write there. Kept in a cookie: it says nothing that is not theirs."""

    by_source: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, request: HttpRequest) -> Positions:
        return cls.parse(request.COOKIES.get(COOKIE, "")[:400])

    @classmethod
    def parse(cls, text: str) -> Positions:
        """``headwater=0/1A2B orders=0/33``; whatever has another form is left out."""
        found: dict[str, int] = {}
        for part in text.replace(",", " ").split(" "):
            match = _FORM.fullmatch(part)
            if match:
                found[match[1]] = int(match[2], 16) << 32 | int(match[3], 16)
        return cls(found)

    def and_(self, other: Positions) -> Positions:
        """The later of both, per source."""
        names = self.by_source.keys() | other.by_source.keys()
        return Positions({n: max(self.by_source.get(n, 0), other.by_source.get(n, 0)) for n in names})

    def passed_by(self, watermarks: Mapping[str, str]) -> bool:
        """Whether what was read up to ``watermarks`` (source → LSN) holds every write of this person's."""
        return all(lsn_of(watermarks.get(source, "0/0")) >= lsn for source, lsn in self.by_source.items())

    def __str__(self) -> str:
        return " ".join(f"{source}={lsn_text(lsn)}" for source, lsn in sorted(self.by_source.items()))


def keep(request: HttpRequest, response: HttpResponse) -> None:
    """Puts the positions that this request's commands answered with into the cookie."""
    written: Positions | None = getattr(request, "written", None)
    if written is not None and written.by_source:
        response.set_cookie(
            COOKIE,
            str(Positions.of(request).and_(written)),
            max_age=COOKIE_SECONDS,
            httponly=True,
            secure=settings.SESSION_COOKIE_SECURE,
            samesite="Lax",
        )
