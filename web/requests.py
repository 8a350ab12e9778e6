"""What a page's view gets: Django's request with its reader, and how the page was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest

if TYPE_CHECKING:
    from web.positions import Positions
    from web.session import Reader

FRAGMENT_HEADER = "HW-Fragment"
"""Sent by the application's script: it wants a part of a page, and deals with toasts, addresses and logins itself."""


class PageRequest(HttpRequest):
    """``reader`` is there on every page but the login; ``written`` is what this request's commands wrote."""

    reader: Reader
    written: Positions


def is_fragment(request: HttpRequest) -> bool:
    return FRAGMENT_HEADER in request.headers
