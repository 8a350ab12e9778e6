"""Which columns say something of a person: what erasing the person takes out of every copy, past ones included."""

from __future__ import annotations

from collections.abc import Mapping

PERSONAL: Mapping[str, tuple[str, ...]] = {
    "contacts.contact": ("first_name", "last_name", "title", "email", "phone", "job_title", "custom"),
}
"""Resource → columns. Ids, owners and what the person bought are the company's own records and stay."""
