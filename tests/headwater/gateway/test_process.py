"""The gateway as a process of the installation, with a certificate and without."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest

from headwater.cli.lifecycle import addresses
from headwater.config import Config, ConfigError, Server
from headwater.embedded.postgres import free_port
from headwater.gateway import process
from headwater.gateway.asking import silence
from headwater.health import illness
from headwater.state import Home, write_json
from tests.headwater.gateway.test_configuration import certificate
from tests.stack import eventually

NOWHERE = Server("127.0.0.1", 1, "")


@pytest.fixture
def installation() -> Iterator[tuple[Home, Config]]:
    """An installation with nothing behind its gateway, where the account of nginx's workers may enter."""
    root = Path(tempfile.mkdtemp(prefix="headwater-gateway-"))
    root.chmod(0o711)
    home = Home(root)
    home.clusters.mkdir(mode=0o711)
    yield home, Config(str(root), NOWHERE, NOWHERE, free_port(), "", {}, gateway_port=free_port())
    shutil.rmtree(root)


@contextmanager
def running(home: Home, config: Config) -> Iterator[None]:
    spec = process.spec(home, config)
    with (home.root / "nginx.log").open("ab") as log:
        started = subprocess.Popen(spec.argv, env=spec.environment, cwd=spec.directory, stdout=log, stderr=log)
    try:
        eventually(lambda: silence(config) is None, 20, "the gateway to answer")
        yield
    finally:
        started.send_signal(spec.stop_signal)
        started.wait(20)


def test_with_a_certificate_it_speaks_tls_and_nothing_else(
    installation: tuple[Home, Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, config = installation
    shown, hidden = certificate(tmp_path)
    write_json(home.config, asdict(config))
    said = illness(home, process.NAME)
    assert said is not None
    assert "refused" in said
    with running(home, config):
        assert f"Open       http://127.0.0.1:{config.gateway_port}/" in addresses(home)
        assert illness(home, process.NAME) is None
    monkeypatch.setenv(process.CERTIFICATE, shown)
    monkeypatch.setenv(process.KEY, hidden)
    with running(home, config):
        # Whoever asks may not have the variables that it was started with.
        monkeypatch.delenv(process.CERTIFICATE)
        monkeypatch.delenv(process.KEY)
        assert illness(home, process.NAME) is None
        with pytest.raises(process.GatewayError, match="The gateway speaks TLS, and HEADWATER_GATEWAY_CERTIFICATE"):
            process.renew(home, config)
        base = process.address(config)
        assert f"Open       {base}/" in addresses(home)
        assert base.startswith("https://")
        answered = httpx.get(f"{base}/api/contacts/accounts", verify=False)
        assert answered.status_code == 503
        assert answered.json()["detail"]
        assert httpx.get(f"http://127.0.0.1:{config.gateway_port}/").status_code == 400
        with pytest.raises(httpx.ConnectError, match="self-signed"):
            httpx.get(base)


def test_half_of_a_certificate_is_refused(
    installation: tuple[Home, Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, config = installation
    shown, _ = certificate(tmp_path)
    monkeypatch.setenv(process.CERTIFICATE, shown)
    with pytest.raises(ConfigError, match="Set both of HEADWATER_GATEWAY_CERTIFICATE and HEADWATER_GATEWAY_KEY"):
        process.prepare(home, config)
    monkeypatch.setenv(process.KEY, str(tmp_path / "absent.pem"))
    with pytest.raises(ConfigError, match=r"HEADWATER_GATEWAY_KEY: there is no file .*absent\.pem"):
        process.prepare(home, config)
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv(process.KEY, certificate(other)[1])
    with pytest.raises(process.GatewayError, match="key values mismatch"):
        process.prepare(home, config)
    assert not (process.place(home) / process.CONFIGURATION).exists(), "what stood there stands"
