"""A broker that asks for a login (SCRAM and PLAIN), with TLS and without, beside a listener that asks for none."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from headwater.embedded.postgres import free_port
from headwater.kafka.broker import Broker
from headwater.kafka.distribution import distribution
from headwater.supervisor.child import Child
from tests.stack import eventually

USER, PASSWORD = "headwater", "the right one"


@dataclass(frozen=True)
class Locked:
    """Addresses of the listeners, and the authority that signed the broker's certificate."""

    open: str
    login: str
    login_over_tls: str
    authority: Path


@contextmanager
def locked() -> Iterator[Locked]:
    root = Path(tempfile.mkdtemp(prefix="headwater-locked-"))
    inside, login, over_tls = free_port(), free_port(), free_port()
    authority = _certificates(root)
    jaas = "org.apache.kafka.common.security"
    plain = f'{jaas}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    listeners = f"PLAINTEXT://127.0.0.1:{inside},SASL_PLAINTEXT://127.0.0.1:{login},SASL_SSL://localhost:{over_tls}"
    controller = free_port()
    settings: dict[str, object] = {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": listeners,
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": ",".join(
            f"{name}:{name.replace('CONTROLLER', 'PLAINTEXT')}"
            for name in ("CONTROLLER", "PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL")
        ),
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": root / "broker.pem",
    }
    for listener in ("sasl_plaintext", "sasl_ssl"):
        settings[f"listener.name.{listener}.plain.sasl.jaas.config"] = plain
        settings[f"listener.name.{listener}.scram-sha-512.sasl.jaas.config"] = (
            f"{jaas}.scram.ScramLoginModule required;"
        )
    broker = Broker(root / "broker", inside, controller, distribution(), settings, heap_mb=192, quick=True)
    broker.prepare()
    child = Child(broker.spec(root / "broker.log", {}))
    child.start()
    try:
        deadline = time.monotonic() + 180
        while not broker.healthy():
            assert time.monotonic() < deadline, (root / "broker.log").read_text()[-4000:]
            time.sleep(0.05)
        _scram(broker.bootstrap)
        # The controller has stored it then; the broker takes it over a little later.
        eventually(lambda: _comes_in(f"127.0.0.1:{login}"), 60, "the login to be known")
        yield Locked(broker.bootstrap, f"127.0.0.1:{login}", f"localhost:{over_tls}", authority)
    finally:
        child.stop()
        shutil.rmtree(root, ignore_errors=True)


def _scram(bootstrap: str) -> None:
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    wanted = UserScramCredentialUpsertion(USER, info, PASSWORD.encode())
    for result in admin.alter_user_scram_credentials([wanted]).values():
        result.result(timeout=60)


def _comes_in(at: str) -> bool:
    login = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": USER}
    admin = AdminClient({"bootstrap.servers": at, "sasl.password": PASSWORD, "log_level": 2, **login})
    try:
        admin.list_topics(timeout=5)
    except KafkaException:
        return False
    return True


def _certificates(root: Path) -> Path:
    """Makes the broker's key and certificate (for ``localhost``), and returns the authority's."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "localhost")}
    signed = {}
    now = datetime.now(UTC)
    for name, key in keys.items():
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=name == "authority", path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        signed[name] = builder.sign(keys["authority"], SHA256()).public_bytes(Encoding.PEM)
    private = keys["localhost"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (root / "broker.pem").write_bytes(private + signed["localhost"] + signed["authority"])
    authority = root / "authority.pem"
    authority.write_bytes(signed["authority"])
    return authority
