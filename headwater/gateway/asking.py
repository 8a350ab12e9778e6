"""Asking the gateway whether it answers. Apart from its process: urllib and TLS would cost the supervisor 6 MB."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request

from headwater.config import Config
from headwater.gateway.process import address


def trusting() -> ssl.SSLContext:
    """For asking it on loopback, whoever signed its certificate, and for whatever name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the default context would read every known authority first
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def silence(config: Config, timeout: float = 2.0) -> str | None:
    """Why nginx gives no answer, by an address that it answers itself: what it cannot reach is no fault of its own."""
    try:
        with urllib.request.urlopen(f"{address(config)}/metrics", timeout=timeout, context=trusting()):
            return "something else than the gateway answers"
    except urllib.error.HTTPError as error:
        return None if error.code == 404 else f"it answers {error.code}"
    except (OSError, http.client.HTTPException) as error:
        return str(error)
