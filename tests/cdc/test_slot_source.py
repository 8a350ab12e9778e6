"""The slot source on a real server: what is committed arrives whole, in order, with its images."""

from __future__ import annotations

from tests.cdc.database import Database, read_changes


def test_changes_arrive_in_commit_order_with_keys_and_images(database: Database) -> None:
    database.run(
        "create table account (id int primary key, name text)",
        "alter table account replica identity full",
    )
    database.publish("public.account")
    database.make_slot()
    database.run(
        "insert into account values (1, 'Acme'), (2, null)",
        "update account set name = 'Acme Ltd' where id = 1",
        "update account set id = 3 where id = 1",
        "delete from account where id = 2",
        "truncate account",
    )
    source = database.source()
    source.start(None)
    changes = read_changes(source, 6)
    assert [(c.op, c.key, c.before, c.after) for c in changes] == [
        ("c", ("1",), None, ["1", "Acme"]),
        ("c", ("2",), None, ["2", None]),
        ("u", ("1",), ["1", "Acme"], ["1", "Acme Ltd"]),
        ("u", ("3",), ["1", "Acme Ltd"], ["3", "Acme Ltd"]),
        ("d", ("2",), ["2", None], None),
        ("t", (), None, None),
    ]
    assert [c.seq for c in changes] == [0, 1, 0, 0, 0, 0]
    assert [column.is_key for column in changes[0].relation.columns] == [True, False]
