"""The gateway as one of the installation's processes: nginx, on a configuration that is made anew at each start."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from headwater.config import Config, ConfigError
from headwater.embedded.account import unprivileged_account
from headwater.gateway.nginx import Gateway, configuration
from headwater.gateway.registry import registry
from headwater.proc import MARK
from headwater.state import Home, write_text
from headwater.supervisor.child import Spec

NAME = "gateway"
CONFIGURATION = "nginx.conf"

CERTIFICATE, KEY = "HEADWATER_GATEWAY_CERTIFICATE", "HEADWATER_GATEWAY_KEY"

STOP_TIMEOUT = 20.0
"""Seconds for requests that are being answered; those that last longer are cut off."""


class GatewayError(ConfigError):
    """nginx is absent, or refuses its configuration; the message says what to do."""


def binary() -> str:
    """Where nginx is. Raises GatewayError if it is nowhere."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise GatewayError(
            "nginx is not installed, and services that stand apart are reached through it. Install it "
            "(`apt-get install nginx-light`, `dnf install nginx`, `brew install nginx`) and start again."
        )
    return found


def place(home: Home) -> Path:
    """Beside the clusters: a directory that the account of nginx's workers can reach, wherever the home is."""
    return home.clusters.resolve() / NAME


def prepare(home: Home, config: Config) -> Path:
    """Writes the configuration and returns its file. Raises GatewayError, with nginx's own words, if it is refused."""
    directory = place(home)
    directory.mkdir(mode=0o711, exist_ok=True)
    written = directory / CONFIGURATION
    tried = directory / "nginx.conf.new"
    write_text(tried, configuration(settings(config)))
    done = subprocess.run(
        [*_command(directory, tried), "-t", "-q"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise GatewayError(f"nginx refuses its configuration ({tried}):\n{done.stderr.strip()}")
    tried.replace(written)
    return written


def renew(home: Home, config: Config) -> Path:
    """As ``prepare``, for the nginx that runs. Raises GatewayError where that would end TLS."""
    if speaks_tls(config) and _tls()[0] is None:
        raise GatewayError(
            f"The gateway speaks TLS, and {CERTIFICATE} and {KEY} are not set here. Set them as where Headwater was "
            "started; nothing was changed."
        )
    return prepare(home, config)


def settings(config: Config) -> Gateway:
    """Raises ConfigError for limits that are no numbers, and for a certificate without its key."""
    account = unprivileged_account()
    certificate, key = _tls()
    bind = os.environ.get("HEADWATER_BIND", "127.0.0.1")
    return Gateway(
        registry(config),
        listen=f"[{bind}]:{config.gateway_port}" if ":" in bind else f"{bind}:{config.gateway_port}",
        certificate=certificate,
        key=key,
        rate=_count("HEADWATER_GATEWAY_RATE", Gateway.rate),
        logins=_count("HEADWATER_GATEWAY_LOGINS", Gateway.logins),
        user=account.name if os.geteuid() == 0 else None,
        access_log="/dev/stdout",
    )


def spec(home: Home, config: Config) -> Spec:
    """What the supervisor runs. Raises GatewayError."""
    written = prepare(home, config)
    return Spec(
        name=NAME,
        argv=[*_command(written.parent, written), "-g", "daemon off;"],
        log=home.log(NAME),
        environment={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", MARK: str(home.root)},
        directory=written.parent,
        stop_signal=signal.SIGQUIT,
        stop_timeout=STOP_TIMEOUT,
        port=config.gateway_port,
        home_of_data=written.parent,
    )


def address(config: Config) -> str:
    """Its base URL on this machine."""
    return f"{'https' if speaks_tls(config) else 'http'}://127.0.0.1:{config.gateway_port}"


def speaks_tls(config: Config) -> bool:
    """As its configuration was written last, whatever the variables of whoever asks say."""
    written = place(Home(Path(config.home))) / CONFIGURATION
    return written.exists() and "ssl_certificate_key " in written.read_text()


def _tls() -> tuple[str, str] | tuple[None, None]:
    """Files of certificate and key. Raises ConfigError for one without the other, or a file that is absent."""
    given = {name: os.environ.get(name) for name in (CERTIFICATE, KEY)}
    certificate, key = given.values()
    if not certificate or not key:
        if certificate or key:
            raise ConfigError(f"Set both of {CERTIFICATE} and {KEY}, or neither.")
        return None, None
    for name, file in given.items():
        if not Path(file or "").is_file():
            raise ConfigError(f"{name}: there is no file {file}.")
    return str(Path(certificate).resolve()), str(Path(key).resolve())


def _command(directory: Path, file: Path) -> list[str]:
    return [binary(), "-p", str(directory), "-c", str(file), "-e", "stderr"]


def _count(name: str, usual: int) -> int:
    given = os.environ.get(name)
    if not given:
        return usual
    if not given.isascii() or not given.isdigit() or not 0 < int(given) < 1_000_000:
        raise ConfigError(f"{name} must be a whole number above 0, not {given!r}.")
    return int(given)
