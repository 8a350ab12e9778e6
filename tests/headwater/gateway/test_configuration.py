"""What ``headwater gateway`` writes: a snapshot, and the refusals of its command line.

``HEADWATER_UPDATE_SNAPSHOTS=1`` writes the snapshot anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from headwater.cli import main
from headwater.config import Config, ConfigError, Server
from headwater.gateway.nginx import Gateway, configuration
from headwater.gateway.registry import Address, Registry, registry

SNAPSHOT = Path(__file__).with_name("nginx.conf")
NOWHERE = Server("127.0.0.1", 1, "")


def installation(home: Path, **urls: str) -> Config:
    return Config(str(home), NOWHERE, NOWHERE, 8000, "", {}, urls)


def test_the_configuration_is_as_it_was() -> None:
    apart = Registry(
        Address("127.0.0.1", 8000), {"contacts": Address("10.0.0.6", 8001), "finance": Address("::1", 8002)}
    )
    written = configuration(Gateway(apart))
    if os.environ.get("HEADWATER_UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(written)
    assert written == SNAPSHOT.read_text()


@pytest.mark.parametrize("tls", [False, True])
def test_nginx_takes_it(tmp_path: Path, tls: bool) -> None:
    files = certificate(tmp_path) if tls else (None, None)
    written = configuration(
        Gateway(Registry(Address("::1", 8000), {}), listen="[::1]:8443", certificate=files[0], key=files[1])
    )
    assert ("listen [::1]:8443 ssl;" in written) == tls
    target = tmp_path / "nginx.conf"
    target.write_text(written)
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert nginx, "nginx is absent: run tests/tools/install.sh"
    command = [nginx, "-t", "-p", str(tmp_path), "-c", str(target), "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def certificate(directory: Path) -> tuple[str, str]:
    """Files of a certificate that signs itself, and of its key."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crm.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, None)
    )
    shown, hidden = directory / "the certificate.pem", directory / "key.pem"
    shown.write_bytes(made.public_bytes(Encoding.PEM))
    hidden.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(shown), str(hidden)


def test_services_that_are_not_apart_are_the_web_processs(tmp_path: Path) -> None:
    found = registry(installation(tmp_path, finance="http://books:9000"))
    assert found.of("finance") == Address("books", 9000)
    assert found.of("contacts") == found.of("identity") == Address("127.0.0.1", 8000)
    assert {str(address): hears for address, hears in found.checkers().items()} == {
        "127.0.0.1:8000": True,
        "books:9000": True,
    }


@pytest.mark.parametrize("url", ["https://books", "http://", "books:9000", "http://books/finance"])
def test_an_address_that_nginx_could_not_use_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="http://host"):
        registry(installation(tmp_path, finance=url))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--listen", "80;evil"], "--listen must be"),
        (["--certificate", "cert.pem"], "both of --certificate and --key"),
        (["--rate", "0"], "must be 1 or more"),
        (["--web", "ftp://x"], "http://host"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    installation(tmp_path).save()
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    # The command line sets it for the processes that it starts; tests after this one start processes too.
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "headwater.settings")
    monkeypatch.setattr("headwater.config.current", lambda: installation(tmp_path))
    target = tmp_path / "nginx.conf"
    assert main(["gateway", "--to", str(target), *options]) == 1
    assert said in capsys.readouterr().err
    assert not target.exists()
