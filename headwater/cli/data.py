"""``demo``, ``import``, ``token`` and ``analyst``: data to work with and keys to the doors."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from pathlib import Path

from headwater import config
from headwater.cli.errors import Refused
from headwater.cli.lifecycle import demo_login
from headwater.cli.running import running


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo_ = commands.add_parser("demo", help="load the demo company; repeating it changes nothing")
    demo_.set_defaults(run=demo)
    import_ = commands.add_parser("import", help="load a company, or any CSV or Parquet file, through bulk commands")
    import_.add_argument(
        "what", choices=("adventureworks", "northwind", "file"), help="a published company, or any file"
    )
    import_.add_argument(
        "--from", dest="path", type=Path, required=True, metavar="PATH", help="the company's directory, or the file"
    )
    import_.add_argument("--json", action="store_true", help="the report for scripts")
    file = import_.add_argument_group("any file")
    file.add_argument("--mapping", type=Path, metavar="FILE", help="what the file's columns mean (.toml, .yaml)")
    file.add_argument("--dry-run", action="store_true", help="give every row its verdict and write nothing")
    file.add_argument(
        "--rejected", type=Path, metavar="FILE", help="where refused rows go (default: NAME.rejected.csv)"
    )
    file.add_argument("--guess", action="store_true", help="propose a mapping and say what it was judged by")
    file.add_argument("--to", type=Path, metavar="FILE", help="write the proposed mapping there (with --guess)")
    file.add_argument("--target", metavar="NAME", help="what the file holds (with --guess): accounts, contacts, …")
    file.add_argument("--source", metavar="NAME", help="what its system is called (with --guess)")
    import_.set_defaults(run=import_data)
    token_ = commands.add_parser("token", help="print a bearer token (ten minutes) to try the API with")
    token_.add_argument("--user", required=True, metavar="NAME")
    token_.set_defaults(run=token)
    analyst_ = commands.add_parser("analyst", help="SQL logins of people who read the marts, within their own rows")
    analyst_.add_argument("action", choices=("add", "remove"))
    analyst_.add_argument("login", help="the database role's name")
    analyst_.add_argument("--user", metavar="NAME", help="whose rows it sees (add; the login's name by default)")
    analyst_.set_defaults(run=analyst)


def demo(_: argparse.Namespace) -> int:
    from headwater import companies

    home = running()
    companies.load_demo(home)
    print("\n".join(f"Log in as {line}" for line in demo_login(home)))
    return 0


def import_data(given: argparse.Namespace) -> int:
    from headwater import companies

    if given.what != "file":
        running()
        report = companies.load_published(given.what, given.path)
        print(json.dumps(report.as_json(), indent=2) if given.json else "\n".join(report.lines()))
        return 0
    if given.guess:
        return _guess(given)
    if given.mapping is None:
        raise Refused("say with --mapping what the columns mean, or ask for a proposal with --guess.")
    running()
    rejects = given.rejected or (None if given.dry_run else Path(f"{given.path.name.split('.')[0]}.rejected.csv"))
    if rejects is not None and rejects.exists() and rejects.samefile(given.path):
        raise Refused(
            f"refused rows would go to {rejects}, which is being imported: name another file with --rejected."
        )
    outcome = companies.load_file(given.path, given.mapping, rejects=rejects, rehearsal=given.dry_run)
    print(json.dumps(outcome.as_json(), indent=2) if given.json else "\n".join(outcome.lines()))
    return 3 if outcome.rejected else 0


def _guess(given: argparse.Namespace) -> int:
    from headwater import companies

    if given.to is not None and given.to.exists():
        raise Refused(f"{given.to} exists; a proposal overwrites nothing.")
    guess = companies.guess_mapping(given.path, given.target, given.source)
    print("\n".join(guess.lines()), file=sys.stderr)
    if given.to is None:
        print(guess.toml(), end="")
    else:
        given.to.write_text(guess.toml(), encoding="utf-8")
        print(f"\nWritten to {given.to}. Read it, then try it with --mapping {given.to} --dry-run.", file=sys.stderr)
    return 0


def token(given: argparse.Namespace) -> int:
    running()
    os.environ["HEADWATER_SERVICES"] = "identity"
    from headwater.provision.oltp import setup_django

    setup_django()
    from transactional.identity.tokens import issue_for
    from transactional.kernel.problems import Problem

    try:
        print(issue_for(given.user))
    except Problem as problem:
        raise Refused(problem.detail) from problem
    return 0


def analyst(given: argparse.Namespace) -> int:
    running()
    import psycopg

    from headwater.acting import user_id
    from warehouse.analysts import create, remove

    settings = config.current()
    with psycopg.connect(settings.warehouse_url("postgres"), autocommit=True) as superuser:
        if given.action == "remove":
            remove(superuser, given.login)
            print(f"{given.login} may not log in any more.")
            return 0
        password = secrets.token_urlsafe(18)
        create(superuser, given.login, password, user_id(given.user or given.login))
    server = settings.warehouse
    print(f"postgresql://{given.login}:{password}@{server.host}:{server.port}/warehouse")
    return 0
