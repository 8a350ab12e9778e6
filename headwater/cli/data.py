"""``demo``, ``import``, ``token`` and ``analyst``: data to work with and keys to the doors."""

from __future__ import annotations

import argparse
import json
import os
import secrets
from pathlib import Path

from headwater import config
from headwater.cli.errors import Refused
from headwater.cli.running import running


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo_ = commands.add_parser("demo", help="load the demo company; repeating it changes nothing")
    demo_.set_defaults(run=demo)
    import_ = commands.add_parser("import", help="load a company from files through bulk commands")
    import_.add_argument("company", choices=("adventureworks",))
    import_.add_argument(
        "--from", dest="directory", type=Path, required=True, metavar="DIR", help="where its files are"
    )
    import_.add_argument("--json", action="store_true", help="the report for scripts")
    import_.set_defaults(run=import_company)
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
    return 0


def import_company(given: argparse.Namespace) -> int:
    from headwater import companies

    running()
    report = companies.load_adventureworks(given.directory)
    print(json.dumps(report.as_json(), indent=2) if given.json else "\n".join(report.lines()))
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
