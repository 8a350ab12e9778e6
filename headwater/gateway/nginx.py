"""The nginx configuration of a gateway, whole: ``nginx -p DIRECTORY -c FILE``; relative paths are below DIRECTORY.

Tokens are checked here to keep strangers off the services, with an answer that is kept for seconds; each service checks
again and decides alone who may do what.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from headwater.config import SERVICES
from headwater.gateway.registry import Registry

WITHOUT_TOKEN = ("token", "token/renew", "logout", "keys")
"""What identity answers to whoever asks, below ``/api/identity/``."""


@dataclass(frozen=True)
class Gateway:
    """``listen`` is nginx's own form (``8080``, ``127.0.0.1:8080``). ``certificate`` and ``key`` are files for TLS.

    ``rate`` and ``logins`` are requests a second and logins a minute from one address; twice and a third as many more
    may come at once. ``checked_seconds``: how long a token's check is remembered. ``body``: megabytes that the API
    takes, as many as Django does. ``user``: the account of nginx's workers, where root starts it.
    """

    registry: Registry
    listen: str = "8080"
    certificate: str | None = None
    key: str | None = None
    rate: int = 50
    logins: int = 30
    checked_seconds: int = 5
    body: int = 32
    user: str | None = None
    access_log: str = "access.log"


def configuration(gateway: Gateway) -> str:
    """The text of ``nginx.conf``."""
    blocks = [
        _upstreams(gateway.registry),
        f"server {{\n{_indented(_server(gateway))}\n}}",
    ]
    http = "\n\n".join([_http(gateway), *blocks])
    top = _TOP if gateway.user is None else f"{_TOP}user {gateway.user};\n"
    return f"{top}\nhttp {{\n{_indented(http)}\n}}\n"


_TOP = """\
# Written by `headwater gateway`: change the registry or its options, and write it again.
worker_processes auto;
pid gateway.pid;
error_log stderr warn;

events {
    worker_connections 1024;
}
"""


def _http(gateway: Gateway) -> str:
    return f"""\
server_tokens off;
default_type application/octet-stream;
log_format headwater escape=json '{{"at":"$time_iso8601","request_id":"$hw_request_id","method":"$request_method",'
    '"path":"$uri","status":$status,"seconds":$request_time,"upstream":"$upstream_addr"}}';
access_log {gateway.access_log} headwater;

client_body_temp_path temp_body;
proxy_temp_path temp_proxy;
fastcgi_temp_path temp_fastcgi;
uwsgi_temp_path temp_uwsgi;
scgi_temp_path temp_scgi;

# A question of 10,000 characters is for the application to answer, as without a gateway; nginx by itself takes 8 KB.
large_client_header_buffers 4 16k;

# A key of this cache is a token: its files are the workers' own (0700) and go ten seconds after their last use.
proxy_cache_path tokens keys_zone=tokens:1m max_size=16m inactive=10s use_temp_path=off;
limit_req_zone $binary_remote_addr zone=requests:10m rate={gateway.rate}r/s;
limit_req_zone $binary_remote_addr zone=logins:10m rate={gateway.logins}r/m;
limit_req_status 429;

map $http_request_id $hw_request_id {{
    default $http_request_id;
    "" $request_id;
}}"""


def _upstreams(registry: Registry) -> str:
    named = {"web": registry.web} | {service: registry.of(service) for service in SERVICES}
    found = [f"upstream {name} {{\n    server {address};\n    keepalive 8;\n}}" for name, address in named.items()]
    # Whoever lives checks tokens, so that no service's end is the end of all.
    servers = "\n".join(
        f"    server {address} max_fails=1 fail_timeout=10s{'' if knows else ' backup'};"
        for address, knows in registry.checkers().items()
    )
    return "\n\n".join([*found, f"upstream token_check {{\n{servers}\n    keepalive 8;\n}}"])


def _server(gateway: Gateway) -> str:
    tls = gateway.certificate is not None
    listening = f"listen {gateway.listen}{' ssl' if tls else ''};"
    if tls:
        listening += f'\nssl_certificate "{gateway.certificate}";\nssl_certificate_key "{gateway.key}";'
        listening += "\nssl_protocols TLSv1.2 TLSv1.3;"
    return "\n\n".join(
        [
            f"{listening}\n{_COMMON}",
            _location("/", "web", "client_max_body_size 2m;"),
            "location = /metrics {\n    return 404;\n}",
            _location("/api/", "web", _guarded(gateway)),
            _location("= /api/openapi.json", "web"),
            *(_location(f"/api/{service}/", service, _guarded(gateway)) for service in SERVICES),
            *(
                _location(
                    f"= /api/identity/{path}",
                    "identity",
                    f"client_max_body_size 16k;\nlimit_req zone=logins burst={max(1, gateway.logins // 3)} nodelay;",
                )
                for path in WITHOUT_TOKEN
            ),
            _check(gateway),
            *(_down(name) for name in ("web", *SERVICES)),
            *_PROBLEMS,
        ]
    )


_COMMON = """\
proxy_http_version 1.1;
proxy_set_header Connection "";
proxy_set_header Host $http_host;
proxy_set_header Request-Id $hw_request_id;
proxy_set_header X-Forwarded-For $remote_addr;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_connect_timeout 1s;
# Longer than statement_timeout (60 s): the service gives up first, and says why.
proxy_read_timeout 75s;
# A request is sent once; who may send it again is the client's to know.
proxy_next_upstream off;
client_header_timeout 10s;
client_body_timeout 30s;
client_max_body_size 1m;
error_page 401 @unauthenticated;
error_page 413 @too_large;
error_page 429 @too_many;
error_page 500 = @unchecked;
add_header Request-Id $hw_request_id always;"""


def _guarded(gateway: Gateway) -> str:
    return (
        f"auth_request /_token;\nclient_max_body_size {gateway.body}m;\n"
        f"limit_req zone=requests burst={gateway.rate * 2} nodelay;"
    )


def _location(match: str, upstream: str, more: str = "") -> str:
    lines = [*more.splitlines(), f"error_page 502 504 = @{upstream}_down;", f"proxy_pass http://{upstream};"]
    return f"location {match} {{\n{_indented(chr(10).join(_with_errors(lines)))}\n}}"


def _with_errors(lines: list[str]) -> list[str]:
    """``error_page`` of a location replaces those of the server: the common ones are said again."""
    common = [line for line in _COMMON.splitlines() if line.startswith("error_page")]
    return [*lines[:-2], *common, *lines[-2:]]


def _check(gateway: Gateway) -> str:
    return f"""\
location = /_token {{
    internal;
    proxy_pass http://token_check/api/token-check;
    proxy_pass_request_body off;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header Request-Id $hw_request_id;
    proxy_set_header Content-Length "";
    proxy_next_upstream error timeout http_502 http_503 http_504;
    proxy_next_upstream_timeout 3s;
    proxy_read_timeout 2s;
    proxy_cache tokens;
    proxy_cache_key $http_authorization;
    proxy_cache_valid 204 {gateway.checked_seconds}s;
    proxy_cache_lock on;
}}"""


def _down(name: str) -> str:
    what = "The application" if name == "web" else f"Service {name}"
    return _problem(
        f"{name}_down",
        503,
        "unavailable",
        "Not available at the moment",
        f"{what} gives no answer; try again.",
        **({} if name == "web" else {"service": name}),
    )


def _problem(location: str, status: int, code: str, title: str, detail: str, **more: str) -> str:
    document = {
        "type": f"urn:headwater:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": None,
        "errors": [],
        **more,
    }
    again = "    add_header Retry-After 1 always;\n" if status in (429, 503) else ""
    return (
        f"location @{location} {{\n"
        f"    default_type application/problem+json;\n{again}"
        "    add_header X-Content-Type-Options nosniff always;\n"
        "    add_header Request-Id $hw_request_id always;\n"
        f"    return {status} '{json.dumps(document)}';\n}}"
    )


_PROBLEMS = (
    _problem(
        "unauthenticated",
        401,
        "unauthenticated",
        "Who are you?",
        "The gateway found no live token: send one of POST /api/identity/token as Authorization: Bearer.",
    ),
    _problem("too_large", 413, "too_large", "The request is too large", "The body is too large; split it."),
    _problem(
        "too_many", 429, "too_many_attempts", "Too many attempts", "Too many requests come from this address; wait."
    ),
    _problem(
        "unchecked",
        503,
        "unavailable",
        "Not available at the moment",
        "No process could check the token; try again.",
    ),
)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())
