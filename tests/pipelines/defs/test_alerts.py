"""Who is told of failures, how, and how often: with a mail server and a web hook that really listen."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    Config,
    DagsterInstance,
    MaterializeResult,
    asset,
    materialize,
)

from pipelines.defs.alerts import Memory, collect
from pipelines.delivery import Alert, ChannelError, Channels, Undelivered, deliver
from tests.pipelines.defs.servers import Hook, Post, mail_server, web_hook
from tests.stack import Stack

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ALERT = Alert("mart broke", "Why it broke.\n", "run-1", {"kind": "run", "run_id": "1"})


class Outcome(Config):
    fails: bool = False
    check_passes: bool = True
    warns: bool = False


@asset(check_specs=[AssetCheckSpec("adds_up", asset="orders")])
def orders(config: Outcome) -> MaterializeResult:
    if config.fails:
        raise RuntimeError("the table is gone")
    severity = AssetCheckSeverity.WARN if config.warns else AssetCheckSeverity.ERROR
    check = AssetCheckResult(passed=config.check_passes, check_name="adds_up", severity=severity, metadata={"rows": 3})
    return MaterializeResult(check_results=[check])


def run(instance: DagsterInstance, **outcome: bool) -> None:
    config = {"ops": {"orders": {"config": outcome}}}
    materialize([orders], instance=instance, run_config=config, raise_on_error=False)


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as made:
        yield made


@pytest.fixture
def hook() -> Iterator[Hook]:
    with web_hook() as made:
        yield made


def subjects(instance: DagsterInstance, memory: Memory | None, now: datetime = NOW) -> tuple[list[str], Memory]:
    alerts, memory = collect(instance, memory, now, "http://dagster")
    return [alert.subject for alert in alerts], memory


def test_what_failed_before_alerts_were_first_looked_for_is_past(instance: DagsterInstance) -> None:
    run(instance, fails=True)
    told, memory = subjects(instance, None)
    assert told == []
    assert subjects(instance, memory)[0] == []


def test_a_failed_run_is_told_of_once_with_its_reason_and_address(instance: DagsterInstance) -> None:
    _, memory = subjects(instance, None)
    run(instance, fails=True)
    (alert,), memory = collect(instance, memory, NOW, "http://dagster")
    (record,) = instance.get_run_records()
    assert alert.facts["run_id"] == record.dagster_run.run_id
    assert f"http://dagster/runs/{record.dagster_run.run_id}" in alert.body
    assert subjects(instance, memory)[0] == []


def test_a_check_that_goes_on_failing_is_told_of_once_a_day_and_again_after_it_was_well(
    instance: DagsterInstance,
) -> None:
    _, memory = subjects(instance, None)
    run(instance, check_passes=False)
    told, memory = subjects(instance, memory)
    assert told == ["adds_up of orders failed"]
    run(instance, check_passes=False)
    told, memory = subjects(instance, memory, NOW + timedelta(hours=1))
    assert told == []
    run(instance, check_passes=False)
    told, memory = subjects(instance, memory, NOW + timedelta(hours=25))
    assert told == ["adds_up of orders failed"]
    run(instance)
    told, memory = subjects(instance, memory, NOW + timedelta(hours=26))
    assert told == []
    run(instance, check_passes=False)
    assert subjects(instance, memory, NOW + timedelta(hours=27))[0] == ["adds_up of orders failed"]


def test_a_warning_wakes_nobody(instance: DagsterInstance) -> None:
    _, memory = subjects(instance, None)
    run(instance, check_passes=False, warns=True)
    assert subjects(instance, memory)[0] == []


def test_what_is_remembered_survives_a_restart() -> None:
    memory = Memory(7, 9, {"orders:adds_up": 12.5})
    assert Memory.read(memory.write()) == memory
    assert Memory.read(None) is None


def test_mail_and_web_hook_carry_the_alert(post: Post, hook: Hook) -> None:
    channels = Channels.of(
        {
            "HEADWATER_ALERT_MAIL": "ops@example.org, night@example.org",
            "HEADWATER_SMTP_URL": f"smtp://me:p%40ss@127.0.0.1:{post.port}?from=hw@example.org",
            "HEADWATER_ALERT_WEBHOOK": f"http://127.0.0.1:{hook.port}/alerts?key=1",
        }
    )
    deliver(ALERT, channels)
    ((recipients, message),) = post.messages
    assert recipients == ["ops@example.org", "night@example.org"]
    assert (message["Subject"], message["From"]) == ("[headwater] mart broke", "hw@example.org")
    assert message.get_payload().strip() == "Why it broke."
    assert [base64.b64decode(login) for login in post.logins] == [b"\0me\0p@ss"]
    ((path, content),) = hook.posts
    assert path == "/alerts?key=1"
    assert content == {
        "text": "mart broke\nWhy it broke.\n",
        "subject": "mart broke",
        "id": "run-1",
        "kind": "run",
        "run_id": "1",
    }


def test_a_subject_cannot_add_headers(post: Post) -> None:
    channels = Channels(("ops@example.org",), f"smtp://127.0.0.1:{post.port}")
    deliver(Alert("broke\r\nBcc: thief@example.org", "", "x", {}), channels)
    ((recipients, message),) = post.messages
    assert recipients == ["ops@example.org"]
    assert message["Bcc"] is None


def test_a_channel_that_fails_is_named_without_its_password_and_the_other_is_served(post: Post, hook: Hook) -> None:
    post.refuses = True
    channels = Channels(
        ("ops@example.org",), f"smtp://me:geheim@127.0.0.1:{post.port}", f"http://127.0.0.1:{hook.port}/"
    )
    with pytest.raises(Undelivered, match=r"mail: .*451") as refused:
        deliver(ALERT, channels)
    assert "geheim" not in str(refused.value)
    assert len(hook.posts) == 1
    hook.status = 503
    post.refuses = False
    with pytest.raises(Undelivered, match=r"post: .*503"):
        deliver(ALERT, channels)
    assert len(post.messages) == 1


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"HEADWATER_ALERT_MAIL": "nobody"}, "HEADWATER_ALERT_MAIL"),
        ({"HEADWATER_ALERT_MAIL": "a@b.c"}, "HEADWATER_SMTP_URL"),
        ({"HEADWATER_SMTP_URL": "localhost:25"}, "HEADWATER_SMTP_URL"),
        ({"HEADWATER_ALERT_WEBHOOK": "ftp://x"}, "HEADWATER_ALERT_WEBHOOK"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(environment: dict[str, str], named: str) -> None:
    with pytest.raises(ChannelError, match=named):
        Channels.of(environment)


def test_without_channels_nothing_is_sent_and_nothing_fails() -> None:
    assert Channels.of({}).names == []
    deliver(ALERT, Channels())


def test_wrong_settings_are_refused_before_anything_starts(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "state", {"HEADWATER_ALERT_WEBHOOK": "hooks.example.org"})
    refused = stack.run("up", "--detach", check=False)
    assert refused.returncode == 1
    assert "HEADWATER_ALERT_WEBHOOK must be an http(s):// address" in refused.stderr
    assert not stack.home.root.exists()
