"""Every environment variable that Headwater reads, in words for whoever sets it. Tests hold this list to the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Variable:
    """``default``: what holds where the variable is not set. A name that ends in ``_`` is completed by the reader."""

    name: str
    meaning: str
    default: str = "–"


VARIABLES: Final = (
    Variable("HEADWATER_HOME", "The state directory: configuration, data, logs.", "`.headwater`"),
    Variable("HEADWATER_SERVICES", "Services that this process hosts, separated by commas.", "all"),
    Variable(
        "HEADWATER_DB_",
        "`HEADWATER_DB_FINANCE=postgresql://host:port/database` gives a service a database of its own.",
        "the shared one",
    ),
    Variable(
        "HEADWATER_URL_",
        "`HEADWATER_URL_FINANCE=http://host:port` says where another process hosts a service.",
        "hosted here",
    ),
    Variable("HEADWATER_CALL_CONNECT", "Seconds until a connection to a service elsewhere must stand.", "1"),
    Variable("HEADWATER_CALL_READ", "Seconds of silence that a read from it puts up with.", "5"),
    Variable("HEADWATER_CALL_DEADLINE", "Seconds that a whole call may take, attempts and pauses included.", "20"),
    Variable("HEADWATER_BREAKER_FAILURES", "Failures in a row that open the service's circuit breaker.", "5"),
    Variable("HEADWATER_BREAKER_REST", "Seconds that an open circuit breaker lets nothing through.", "5"),
    Variable("HEADWATER_PG_MAJOR", "The embedded PostgreSQL: 18 or 16.", "18"),
    Variable(
        "HEADWATER_OLTP_URL",
        "An OLTP cluster that others run: `postgresql://postgres[:password]@host[:port]`. With the next one.",
        "embedded",
    ),
    Variable("HEADWATER_WAREHOUSE_URL", "A warehouse cluster that others run, in the same form.", "embedded"),
    Variable("HEADWATER_OLTP_PASSWORD_FILE", "A file that holds the password for `HEADWATER_OLTP_URL`."),
    Variable("HEADWATER_WAREHOUSE_PASSWORD_FILE", "The same for `HEADWATER_WAREHOUSE_URL`."),
    Variable(
        "HEADWATER_PROFILE", "`embedded` or `kafka`: what carries the stream; chosen at the first start.", "`embedded`"
    ),
    Variable("HEADWATER_KAFKA_PARTITIONS", "Partitions of a source's topic of changes, made with it.", "4"),
    Variable(
        "HEADWATER_KAFKA_BROKERS",
        "Kafka that others run, `host:port[,host:port …]`; from the first start on. With the next one.",
        "a broker of its own",
    ),
    Variable("HEADWATER_KAFKA_CONNECT", "Its Connect workers, `http://host:port[,http://host:port …]`."),
    Variable(
        "HEADWATER_KAFKA_MESSAGE_MB", "Megabytes of the largest record; a row's two images are one (1 to 90).", "40"
    ),
    Variable(
        "HEADWATER_KAFKA_REPLICATION",
        "Copies of each partition; a write waits for one less, and for one at least.",
        "1",
    ),
    Variable("HEADWATER_KAFKA_USER", "The login there (SASL).", "no login"),
    Variable("HEADWATER_KAFKA_PASSWORD_FILE", "A file that holds its password."),
    Variable("HEADWATER_KAFKA_MECHANISM", "`SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`.", "`SCRAM-SHA-512`"),
    Variable(
        "HEADWATER_KAFKA_TLS",
        "`on`, or the file of the authority that signs the brokers' certificates.",
        "no TLS",
    ),
    Variable("HEADWATER_LANDING_WORKERS", "Processes that land from Kafka's topics side by side.", "2"),
    Variable("HEADWATER_GATEWAY_RATE", "Requests a second that the gateway takes from one address.", "50"),
    Variable("HEADWATER_GATEWAY_LOGINS", "Logins a minute that it takes from one address.", "30"),
    Variable(
        "HEADWATER_GATEWAY_CERTIFICATE",
        "The file of its certificate, with those that signed it: it speaks TLS, and cookies travel by that alone.",
        "no TLS",
    ),
    Variable("HEADWATER_GATEWAY_KEY", "The file of the certificate's key."),
    Variable("HEADWATER_JARS", "Where the Java programs of the Kafka profile are kept.", "`build/jars`"),
    Variable("HEADWATER_BIND", "The address that the gateway, or web, and Dagster listen on.", "`127.0.0.1`"),
    Variable(
        "HEADWATER_PUBLIC_URL",
        "Where people reach the application from outside; with https, cookies travel by TLS alone.",
    ),
    Variable("HEADWATER_SEARCH_URL", "A Meilisearch server (1.28 or newer).", "tantivy, embedded"),
    Variable("HEADWATER_SEARCH_KEY", "The server's API key."),
    Variable("HEADWATER_SEARCH_PREFIX", "Begins its indexes' names, where installations share it.", "`headwater`"),
    Variable("HEADWATER_LAKE_DATA", "Where the lake's files are.", "`<home>/lake`"),
    Variable(
        "HEADWATER_SCHEMA_CHANGES",
        "`polling` looks for schema changes instead of being told by an event trigger.",
        "`auto`",
    ),
    Variable("HEADWATER_DAGSTER", "`off` leaves Dagster out, and workers report nothing to it.", "`on`"),
    Variable("HEADWATER_DAGSTER_HOST", "Where workers find Dagster, if it runs elsewhere.", "`127.0.0.1`"),
    Variable("HEADWATER_ALERT_MAIL", "Who is mailed when a pipeline fails."),
    Variable("HEADWATER_ALERT_WEBHOOK", "A URL that is told when a pipeline fails."),
    Variable("HEADWATER_SMTP_URL", "The mail server for these, `smtp://[user:password@]host[:port]`."),
    Variable("HEADWATER_METRICS_TOKEN", "What a Prometheus scraper must show.", "`<home>/metrics.token`"),
    Variable("HEADWATER_FAILPOINT", "For tests: where a process kills itself."),
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "An OpenTelemetry collector (OTLP over HTTP) that takes traces; OpenTelemetry's other variables apply too.",
        "no traces",
    ),
    Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "The same, with the path, for traces alone."),
    Variable("OTEL_SDK_DISABLED", "`true` turns traces off whatever else is set."),
)
