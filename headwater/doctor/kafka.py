"""Checks of the Kafka profile: broker, Connect, connectors, and what these do not say by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdc.errors import ConnectUnavailable, StreamError
from cdc.kafka_errors import KafkaRefused, KafkaUnavailable
from headwater.config import ConfigError
from headwater.doctor.findings import Finding, Patient, check

if TYPE_CHECKING:
    from cdc.topics import Thin
    from headwater.connectors import Connectors


@check
def brokers(patient: Patient) -> list[Finding]:
    """Kafka answers, lets us in, and has every partition in as many copies as it is to have."""
    own = _connectors(patient)
    if own is None:
        return []
    if isinstance(own, ConfigError):
        return [Finding(str(own), "set it right for every process of the installation")]
    try:
        return lacking(own.thin())
    except KafkaRefused as error:
        return [Finding(str(error), "headwater connectors status, once it is set right")]
    except KafkaUnavailable as error:
        return [Finding(str(error), _where(patient, "broker"))]


@check
def connectors(patient: Patient) -> list[Finding]:
    """Every connector is as it is to be, has its topics and its slot, and runs."""
    own = _connectors(patient)
    if own is None or isinstance(own, ConfigError):
        return []
    try:
        plans, seen = own.plan(), own.seen()
    except (KafkaRefused, KafkaUnavailable):
        return []  # the check above has said so
    except ConnectUnavailable as error:
        return [Finding(str(error), _where(patient, "connect-1"))]
    except StreamError as error:
        return [Finding(str(error), "headwater connectors plan")]
    found = [
        Finding(f"Connector {plan.definition.name} is not as it is to be.", "headwater connectors apply")
        for plan in plans
        if not plan.is_empty
    ]
    found += [
        Finding(f"Connector {one.name}: {problem}", "headwater connectors status")
        for one in seen
        for problem in one.problems
    ]
    return found


def lacking(thin: list[Thin]) -> list[Finding]:
    """One finding for each set of brokers that are away, by the partition that suffers most."""
    found = []
    for away in sorted({one.away for one in thin}):
        partitions = [one for one in thin if one.away == away]
        worst = min(partitions, key=lambda one: len(one.in_sync) - one.needed)
        more = f"; so it is with {len(partitions) - 1} more partitions" if len(partitions) > 1 else ""
        command = f"start broker {', '.join(map(str, away))}" if away else "kafka-reassign-partitions.sh adds copies"
        found.append(Finding(f"{worst}{more}.", command))
    return found


def _connectors(patient: Patient) -> Connectors | ConfigError | None:
    """None in another profile, and where nothing runs."""
    config = patient.config
    if config is None or config.profile != "kafka" or (patient.supervisor is None and not config.kafka_brokers):
        return None
    from headwater.connectors import Connectors

    try:
        return Connectors(patient.home, config)
    except ConfigError as error:
        return error


def _where(patient: Patient, process: str) -> str:
    """What to read first."""
    if patient.config is not None and patient.config.kafka_brokers:
        return f"read the log of {process.partition('-')[0]}"
    return f"read {patient.home.log(process)}"
