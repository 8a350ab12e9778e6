"""Files into commands: every row created once or refused by its line, whatever the file is like."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import polars as pl
import pytest

from tests.transactional.importers.tabular.conftest import ACCOUNTS, Bench
from transactional.importers.tabular.errors import FileError, MappingError


def with_(**changes: Any) -> dict[str, Any]:
    document = deepcopy(ACCOUNTS)
    for name, value in changes.items():
        if name == "fields":
            document["fields"] |= value
        else:
            document[name] = value
    return document


def told(outcome: Any) -> list[str]:
    return [problem.sentence() for problem in outcome.problems]


def test_rows_become_accounts_and_a_second_run_changes_nothing(bench: Bench) -> None:
    path = bench.file("id,name\n1,Acme\n2,Bolt\n")
    first = bench.run(path)
    assert (first.created, first.unchanged, first.rejected, first.rows) == (2, 0, 0, 2)
    assert bench.names() == ["Acme", "Bolt"]
    events = bench.world.count("contacts.outbox")
    second = bench.run(path)
    assert (second.created, second.unchanged) == (0, 2)
    assert bench.world.count("contacts.outbox") == events


def test_a_rehearsal_gives_the_verdicts_and_writes_nothing(bench: Bench) -> None:
    bench.run(bench.file("id,name\n1,Acme\n", "first.csv"))
    path = bench.file(f"id,name\n1,Acme\n2,Bolt\n3,{'x' * 201}\n4,\n")
    outcome = bench.run(path, rehearsal=True, rejects=None)
    assert (outcome.created, outcome.unchanged, outcome.rejected) == (1, 1, 2)
    assert [(p.line, p.column) for p in outcome.problems] == [(5, "name"), (4, "name")]
    assert bench.names() == ["Acme"]
    assert not (bench.directory / "rejected.csv").exists()
    assert "nothing was written" in outcome.lines()[-1]


def test_refused_rows_are_mended_in_their_own_file_and_imported_from_it(bench: Bench) -> None:
    path = bench.file("id;name;annual revenue\n1;Acme;1.234,50\n2;Bolt;a lot\n3;Çelik;7\n")
    document = with_(
        fields={"annual_revenue": {"column": "annual revenue", "decimal": ",", "unit": "thousand"}},
    )
    outcome = bench.run(path, document)
    assert (outcome.created, outcome.rejected) == (2, 1)
    assert told(outcome)[0].startswith("line 3: annual revenue 'a lot': it is no number.")
    header, row = bench.rejected
    assert header == "headwater_line;headwater_problem;id;name;annual revenue"
    assert row.startswith("3;")
    assert row.endswith(";2;Bolt;a lot")
    mended = bench.file("\n".join(bench.rejected).replace("a lot", "2,5"), "mended.csv")
    assert bench.run(mended, document).created == 1
    revenues = bench.world.rows("select annual_revenue from contacts.account order by account_number")
    assert [str(row["annual_revenue"]) for row in revenues] == ["1234500.0000", "7000.0000", "2500.0000"]


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("id,name\n1,Acme,Inc\n2,Bolt\n", 2, "it has 3 values, more than the 2 columns of the header"),
        ("id,name\n1\n2,Bolt\n", 2, "it has 1 values, fewer than the 2 columns of the header"),
        ('id,name\n1,"12" pipe"\n2,Bolt\n', 2, "a quote within a quoted value is written twice"),
        ("id,name\n1,Ac\x00me\n2,Bolt\n", 2, "it holds a NUL character"),
        ("id,name\n,Acme\n2,Bolt\n", 2, "it is empty, and it is the row's key"),
        ("id,name\n2,Bolt\n2,Acme\n", 3, "the key stands in line 2 already"),
    ],
)
def test_a_bad_row_is_refused_by_its_line_and_stops_no_other(bench: Bench, content: str, line: int, said: str) -> None:
    outcome = bench.run(bench.file(content))
    assert (outcome.created, outcome.rejected) == (1, 1)
    assert bench.names() == ["Bolt"]
    assert outcome.problems[0].line == line
    assert said in told(outcome)[0]
    assert len(bench.rejected) == 2


def test_lines_are_counted_through_quoted_newlines(bench: Bench) -> None:
    path = bench.file('id,name,note\n1,Acme,"two\nlines, and ""quotes"""\n\n2,,x\n')
    outcome = bench.run(path, with_(fields={"custom": {"note": "note"}}))
    assert [problem.line for problem in outcome.problems] == [5]
    (row,) = bench.world.rows("select custom from contacts.account")
    assert row["custom"] == {"note": 'two\nlines, and "quotes"'}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(bench: Bench, separator: str) -> None:
    path = bench.file("id,name,x\n1,Acme,y\n".replace(",", separator))
    assert bench.run(path).created == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_what_they_are_need_no_word(bench: Bench, encoding: str) -> None:
    assert bench.run(bench.file("id,name\n1,Müller – Söhne\n", encoding=encoding)).created == 1
    assert bench.names() == ["Müller – Söhne"]


def test_windows_1252_is_recognised_and_must_be_said(bench: Bench) -> None:
    path = bench.file("id,name\n1,Müller – Söhne €\n", encoding="windows-1252")
    with pytest.raises(FileError, match='say encoding = "windows-1252"'):
        bench.run(path)
    assert bench.names() == []
    outcome = bench.run(path, with_(file={"encoding": "windows-1252"}))
    assert outcome.encoding == "windows-1252"
    assert bench.names() == ["Müller – Söhne €"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"id,name,name\n1,a,b\n", "two columns name"),
        (b'id,name\n1,Acme\n2,"Bolt\n3,Cog\n', "line 3: a quote is opened in this row and never closed"),
        (b"id,name\n1,Acme\n2,\xff\x81\n", "line 3: the text is neither UTF-8 nor Windows-1252"),
        (b"\x1f\x8bnot gzip", "cannot be read"),
        (b"PAR1 and no more", "is not readable Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_written(
    bench: Bench, content: bytes, said: str
) -> None:
    with pytest.raises(FileError, match=said):
        bench.run(bench.file(content))
    assert bench.names() == []


def test_an_open_quote_in_a_large_file_is_named_by_the_line_where_it_opens(bench: Bench) -> None:
    rows = "".join(f"{number},Name of number {number}\n" for number in range(5, 60_000))
    with pytest.raises(FileError, match="line 3: a quote is opened"):
        bench.run(bench.file(f'id,name\n1,Acme\n2,"Bolt\n{rows}'))
    assert bench.names() == []


def test_a_line_without_end_is_refused_in_little_memory(bench: Bench) -> None:
    with pytest.raises(FileError, match="line 2 is longer than"):
        bench.run(bench.file(b"id,name\n" + b"x" * 11_000_000))


def test_a_column_that_is_absent_is_named_with_those_that_are_there(bench: Bench) -> None:
    with pytest.raises(MappingError, match="has no column name; it has id, company"):
        bench.run(bench.file("id,company\n1,Acme\n"))


def test_gzip_and_parquet_are_read_like_text(bench: Bench) -> None:
    assert bench.run(bench.file("id,name\n1,Acme\n", "rows.csv.gz")).created == 1
    path = bench.directory / "rows.parquet"
    frame = pl.DataFrame({"id": [1.0, 2.0, 3.0], "name": ["Acme", "Bolt", None], "tags": [["a"], [], None]})
    frame.write_parquet(path)
    outcome = bench.run(path)
    assert (outcome.created, outcome.unchanged, outcome.rejected) == (1, 1, 1)
    assert [(p.line, p.column) for p in outcome.problems] == [(3, "name")]
    assert bench.rejected[1].endswith(",3.0,")


def test_a_file_without_a_header_is_named_by_the_mapping(bench: Bench) -> None:
    document = with_(file={"columns": ["id", "name"]})
    assert bench.run(bench.file("1,Acme\n2,\n"), document).created == 1
    mended = bench.file("\n".join(bench.rejected) + "Bolt", "mended.csv")
    assert bench.run(mended, document).created == 1


def test_children_may_stand_before_their_parents(bench: Bench) -> None:
    document = with_(fields={"parent_id": "parent"})
    path = bench.file("id,name,parent\n3,Grandchild,2\n2,Child,1\n1,Parent,\n4,Orphan,9\n5,Own,5\n6,Loop,7\n7,Pool,6\n")
    rehearsed = bench.run(path, document, rehearsal=True)
    outcome = bench.run(path, document)
    for one in (rehearsed, outcome):
        assert (one.created, one.rejected) == (3, 4)
        assert sorted(problem.line for problem in one.problems) == [5, 6, 7, 8]
    tree = bench.world.rows(
        "select child.name as child, parent.name as parent from contacts.account as child"
        " join contacts.account as parent on parent.account_uuid = child.parent_id order by 1"
    )
    assert [(row["child"], row["parent"]) for row in tree] == [("Child", "Parent"), ("Grandchild", "Child")]


def test_other_records_are_found_by_their_key_or_by_a_field(bench: Bench) -> None:
    bench.run(bench.file("id,name\nA1,Acme\nB1,Bolt\nB2,Bolt\n"))
    document = {
        "target": "contacts",
        "source": "elsewhere",
        "key": "mail",
        "fields": {"last_name": "name", "email": "mail", "account_uuid": {"column": "company"}},
    }
    people = bench.file("mail,name,company\na@x.example,Ann,A1\nb@x.example,Ben,A2\nc@x.example,Cem,\n", "people.csv")
    outcome = bench.run(people, document)
    assert (outcome.created, outcome.rejected) == (2, 1)
    assert told(outcome) == [
        "line 3: company 'A2': it is no key of elsewhere among the accounts that are known. "
        "Import it into accounts first, or say with values what is meant."
    ]
    by_name = deepcopy(document)
    by_name["fields"]["account_uuid"] = {"column": "company", "by": "name"}
    people = bench.file("mail,name,company\nd@x.example,Dan,Acme\ne@x.example,Eve,Bolt\n", "more.csv")
    outcome = bench.run(people, by_name)
    assert outcome.created == 1
    assert "2 accounts have this name" in told(outcome)[0]


def test_rows_left_out_by_only_are_counted(bench: Bench) -> None:
    outcome = bench.run(bench.file("id,name,state\n1,Acme,live\n2,Bolt,dead\n3,Cog,\n"), with_(only={"state": "live"}))
    assert (outcome.created, outcome.left_out, outcome.rejected) == (1, 2, 0)


def test_many_chunks_are_imported_in_order(bench: Bench) -> None:
    rows = "".join(f"{number},Company {number}\n" for number in range(2_500))
    seen: list[tuple[int, int]] = []
    outcome = bench.run(bench.file(f"id,name\n{rows}"), progress=lambda _, done, total: seen.append((done, total)))
    assert outcome.created == 2_500
    assert seen == [(1_000, 2_500), (2_000, 2_500), (2_500, 2_500)]
    assert bench.names() == [f"Company {number}" for number in range(2_500)]
