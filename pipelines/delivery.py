"""Sends an alert to people: by mail over SMTP, and as JSON to a web hook. Standard library alone."""

from __future__ import annotations

import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

TIMEOUT: Final = 15.0
"""Seconds for a mail server or a web hook to answer."""


class ChannelError(ValueError):
    """A setting of the alerts is wrong; the message names the setting and its form."""


class Undelivered(Exception):
    """A channel did not take the alert; the message names it without its password. The alert is sent again later."""


@dataclass(frozen=True, slots=True)
class Alert:
    """``fingerprint`` is the same for the same occurrence, however often it is sent."""

    subject: str
    body: str
    fingerprint: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Channels:
    """Where alerts go; none by default. ``smtp`` is ``smtp[s]://[user:password@]host[:port][?from=…&starttls=1]``."""

    mail_to: tuple[str, ...] = ()
    smtp: str = field(default="", repr=False)
    webhook: str = field(default="", repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Channels:
        """From HEADWATER_ALERT_MAIL (addresses with commas), HEADWATER_SMTP_URL, HEADWATER_ALERT_WEBHOOK.

        Raises ChannelError.
        """
        addresses = tuple(a.strip() for a in environment.get("HEADWATER_ALERT_MAIL", "").split(",") if a.strip())
        smtp, webhook = environment.get("HEADWATER_SMTP_URL", ""), environment.get("HEADWATER_ALERT_WEBHOOK", "")
        if bad := [address for address in addresses if address.count("@") != 1 or " " in address]:
            raise ChannelError(f"HEADWATER_ALERT_MAIL must hold mail addresses, commas between; {bad[0]!r} is none.")
        if addresses and not smtp:
            raise ChannelError("HEADWATER_ALERT_MAIL is set without HEADWATER_SMTP_URL, such as smtp://localhost:25.")
        if smtp and (urlsplit(smtp).scheme not in ("smtp", "smtps") or not urlsplit(smtp).hostname):
            raise ChannelError("HEADWATER_SMTP_URL must be smtp[s]://[user:password@]host[:port][?from=…&starttls=1].")
        if webhook and (urlsplit(webhook).scheme not in ("http", "https") or not urlsplit(webhook).hostname):
            raise ChannelError("HEADWATER_ALERT_WEBHOOK must be an http(s):// address.")
        return cls(addresses, smtp, webhook)

    @property
    def names(self) -> list[str]:
        """Those that are set, for people."""
        return [*(["mail"] if self.mail_to else []), *(["web hook"] if self.webhook else [])]


def deliver(alert: Alert, channels: Channels) -> None:
    """Sends the alert to every channel; each is tried although another failed. Raises Undelivered."""
    failures = []
    for wanted, send in ((channels.mail_to, _mail), (channels.webhook, _post)):
        if wanted:
            try:
                send(alert, channels)
            except (OSError, smtplib.SMTPException, urllib.error.URLError) as error:
                failures.append(f"{send.__name__.strip('_')}: {error}")
    if failures:
        raise Undelivered(f"The alert {alert.subject!r} was not delivered ({'; '.join(failures)}). It is sent again.")


def _mail(alert: Alert, channels: Channels) -> None:
    url = urlsplit(channels.smtp)
    options = {name: values[-1] for name, values in parse_qs(url.query).items()}
    message = EmailMessage()
    message["Subject"] = " ".join(f"[headwater] {alert.subject}".split())
    message["From"] = options.get("from", f"headwater@{url.hostname}")
    message["To"] = ", ".join(channels.mail_to)
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = make_msgid(idstring=alert.fingerprint[:40], domain="headwater")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(alert.body)
    host = url.hostname or ""
    context = ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(host, url.port or 465, timeout=TIMEOUT, context=context)
        if url.scheme == "smtps"
        else smtplib.SMTP(host, url.port or 25, timeout=TIMEOUT)
    ) as server:
        if options.get("starttls") in ("1", "true", "yes"):
            server.starttls(context=context)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)


def _post(alert: Alert, channels: Channels) -> None:
    """``text`` is what chat systems show; the rest is for programs."""
    content = {
        "text": f"{alert.subject}\n{alert.body}",
        "subject": alert.subject,
        "id": alert.fingerprint,
        **alert.facts,
    }
    request = urllib.request.Request(
        channels.webhook,
        data=json.dumps(content).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "headwater"},
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        answer.read(1024)
