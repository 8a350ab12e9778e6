"""Storage stays small: what is past its days goes, what says how things are stays."""

from datetime import UTC, datetime, timedelta

from dagster import AssetKey, AssetMaterialization, DagsterInstance, asset, materialize

from pipelines.defs.retention import RUN_DAYS, RUNLESS_DAYS, prune
from tests.pipelines.defs.conftest import Storage

NOW = datetime.now(UTC)


@asset
def thing() -> None: ...


def report(instance: DagsterInstance, *assets: str) -> None:
    for name in assets:
        instance.report_runless_asset_event(AssetMaterialization(AssetKey(["marts", name])))


def test_runs_past_their_days_go_with_their_events(storage: Storage) -> None:
    materialize([thing], instance=storage.instance)
    materialize([thing], instance=storage.instance)
    assert prune(storage.instance, storage.dsn, NOW) == (0, 0)
    runs, _ = prune(storage.instance, storage.dsn, NOW + timedelta(days=RUN_DAYS + 1))
    assert runs == 2
    assert storage.rows("select count(*) from runs") == [(0,)]
    assert storage.rows("select count(*) from event_logs where run_id <> ''") == [(0,)]


def test_a_run_under_way_is_never_deleted(storage: Storage) -> None:
    materialize([thing], instance=storage.instance)
    with storage.instance as instance:
        (record,) = instance.get_run_records()
    storage.rows("update runs set status = 'STARTED' returning 1")
    assert prune(storage.instance, storage.dsn, NOW + timedelta(days=400))[0] == 0
    assert storage.instance.get_run_by_id(record.dagster_run.run_id) is not None


def test_of_the_workers_reports_the_last_of_each_asset_stays(storage: Storage) -> None:
    report(storage.instance, "a", "a", "b", "a")
    assert prune(storage.instance, storage.dsn, NOW + timedelta(days=RUNLESS_DAYS - 1)) == (0, 0)
    assert prune(storage.instance, storage.dsn, NOW + timedelta(days=RUNLESS_DAYS + 1)) == (0, 2)
    for name in ("a", "b"):
        assert storage.instance.get_latest_materialization_event(AssetKey(["marts", name])) is not None
    assert prune(storage.instance, storage.dsn, NOW + timedelta(days=RUNLESS_DAYS + 1)) == (0, 0)


def test_the_storage_s_role_enters_no_other_database(storage: Storage) -> None:
    """It must not read what the warehouse keeps from its readers."""
    (allowed,) = storage.rows(
        "select coalesce(array_agg(datname::text order by datname), '{}') from pg_database where datname = 'warehouse'"
        " and has_database_privilege('wh_dagster', oid, 'connect')"
    )
    assert allowed == ([],)
