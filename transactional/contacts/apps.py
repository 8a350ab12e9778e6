"""Django app of the contacts service."""

from __future__ import annotations

from transactional.kernel.service import ServiceConfig


class ContactsConfig(ServiceConfig):
    name = "transactional.contacts"
    label = "contacts"
