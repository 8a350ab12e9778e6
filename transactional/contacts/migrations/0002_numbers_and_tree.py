"""Account numbers from a sequence; a tree of accounts that the database itself keeps free of cycles."""

from __future__ import annotations

from django.db import migrations

from transactional.kernel.trees import acyclic

TREE = acyclic(
    "contacts", "account", key="account_uuid", name="account_parent", called="Account", shown="account_number"
)


class Migration(migrations.Migration):
    dependencies = [("contacts", "0001_initial")]
    operations = [
        migrations.RunSQL("create sequence account_number_seq", "drop sequence account_number_seq"),
        migrations.RunSQL(*TREE),
    ]
