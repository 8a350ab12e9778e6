"""What can be done with an account, here and in Finance."""

from __future__ import annotations

from uuid import UUID

from transactional.kernel.problems import Problem
from web.forms import Field
from web.records.account import PAGE, read_account
from web.records.actions import Action, Actions
from web.records.source import SILENT, Record, read
from web.requests import PageRequest

PROFILE = "finance.account_profile"
HOLD, RELEASE = "finance.place_on_credit_hold", "finance.release_credit_hold"


def _deactivate(record: Record) -> str | None:
    status = record.data["status"]
    return {"Active": None, "On Hold": "Finance holds the account; release the hold first."}.get(status, "")


def _activate(record: Record) -> str | None:
    return None if record.data["status"] == "Inactive" else ""


def _hold(record: Record) -> str | None:
    return "" if record.data["on_credit_hold"] else None


def _release(record: Record) -> str | None:
    return None if record.data["on_credit_hold"] else ""


def _read(request: PageRequest, key: UUID, action: Action) -> Record:
    return read_profile(request, key) if action.command.startswith("finance.") else read_account(request, key)


def read_profile(request: PageRequest, key: UUID) -> Record:
    """What Finance knows of the account. Raises Problem."""
    return read(request, PROFILE, key)


def profile_or_silence(request: PageRequest, key: UUID) -> Record | None:
    """The same for a page that goes on without Finance: its buttons then say why they cannot be used. None for who
    may not see it, and while Finance does not know the account yet."""
    if not request.reader.may(f"{PROFILE}.read"):
        return None
    try:
        return read_profile(request, key)
    except Problem as problem:
        if problem.status != 503:
            return None
        return Record(
            PROFILE, key, {"on_credit_hold": False, "version": 0, "name": ""}, silent=SILENT.format(service="Finance")
        )


ACCOUNT_ACTIONS = Actions(
    page=PAGE,
    read=_read,
    names=lambda record: str(record.data["name"]),
    actions=(
        Action(
            "activate",
            "Activate",
            "contacts.activate_account",
            "{} is active again.",
            _activate,
            "account_uuid",
            undo="deactivate",
        ),
        Action(
            "deactivate",
            "Deactivate",
            "contacts.deactivate_account",
            "{} is inactive.",
            _deactivate,
            "account_uuid",
            undo="activate",
        ),
        Action(
            "hold",
            "Place on credit hold",
            HOLD,
            "{} is on credit hold.",
            _hold,
            "account_uuid",
            fields=(
                Field(
                    "reason",
                    "Reason",
                    "longtext",
                    required=True,
                    max_length=4000,
                    hint="Sales sees it. Orders of this account cannot be confirmed until the hold is released.",
                    wide=True,
                ),
            ),
            undo="release",
        ),
        Action(
            "release",
            "Release credit hold",
            RELEASE,
            "The hold on {} is released.",
            _release,
            "account_uuid",
            undo="hold",
            undo_fields=lambda record: {"reason": str(record.data["hold_reason"])},
        ),
    ),
)
OF_ACCOUNT, OF_PROFILE = ("activate", "deactivate"), ("hold", "release")
