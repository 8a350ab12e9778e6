"""Who works here. Secrets (credentials, sessions, keys) stand in tables of their own, which are never streamed."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from transactional.kernel.base import BusinessModel, ScopedModel, now
from transactional.kernel.models import KernelTable


class Team(BusinessModel):
    """People who share rows. A member's scope reaches their team and every team below it."""

    name = models.CharField(max_length=200)
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="children")

    class Meta(BusinessModel.Meta):
        db_table = "team"
        constraints = [
            models.UniqueConstraint(fields=["name"], name="team_name", violation_error_message="A team has this name."),
            models.CheckConstraint(
                condition=~Q(parent=F("id")),
                name="team_parent_is_another",
                violation_error_message="A team cannot be its own parent.",
            ),
        ]


class Territory(BusinessModel):
    """A region of the market; ``group_name`` bundles territories for reports."""

    name = models.CharField(max_length=200)
    country_code = models.CharField(max_length=2)
    group_name = models.CharField(max_length=200)

    class Meta(BusinessModel.Meta):
        db_table = "territory"
        constraints = [
            models.UniqueConstraint(
                fields=["name", "country_code"],
                name="territory_name_in_country",
                violation_error_message="A territory of this country has this name.",
            )
        ]


class UserAccount(BusinessModel):
    """A person or service that may log in. Tokens from before ``tokens_valid_from`` (Unix seconds) are refused."""

    username = models.CharField(max_length=150)
    display_name = models.CharField(max_length=200)
    email = models.CharField(max_length=254, null=True)  # noqa: DJ001 (absent is null)
    is_active = models.BooleanField(default=True)
    team = models.ForeignKey(Team, models.PROTECT, null=True, related_name="members")
    territory_ids = ArrayField(models.UUIDField(), default=list)
    tokens_valid_from = models.BigIntegerField(default=0)

    class Meta(BusinessModel.Meta):
        db_table = "user_account"
        constraints = [
            models.UniqueConstraint(
                fields=["username"], name="user_account_username", violation_error_message="The username is taken."
            )
        ]

    @property
    def roles(self) -> list[str]:
        """Roles of the user's own and those of their groups, sorted."""
        own = {assignment.role for assignment in self.role_assignments.all()}
        return sorted(own.union(*(membership.group.roles for membership in self.group_memberships.all())))


class RoleAssignment(BusinessModel):
    """A role that a user has by name, beside those of their groups."""

    user = models.ForeignKey(UserAccount, models.PROTECT, related_name="role_assignments")
    role = models.CharField(max_length=50)

    class Meta(BusinessModel.Meta):
        db_table = "role_assignment"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "role"], name="role_assignment_once", violation_error_message="The user has this role."
            )
        ]


class UserGroup(BusinessModel):
    """Users who have the same roles."""

    name = models.CharField(max_length=200)
    roles = ArrayField(models.CharField(max_length=50), default=list)

    class Meta(BusinessModel.Meta):
        db_table = "user_group"
        constraints = [
            models.UniqueConstraint(
                fields=["name"], name="user_group_name", violation_error_message="A group has this name."
            )
        ]


class GroupMembership(BusinessModel):
    group = models.ForeignKey(UserGroup, models.PROTECT, related_name="memberships")
    user = models.ForeignKey(UserAccount, models.PROTECT, related_name="group_memberships")

    class Meta(BusinessModel.Meta):
        db_table = "group_membership"
        constraints = [
            models.UniqueConstraint(
                fields=["group", "user"],
                name="group_membership_once",
                violation_error_message="The user is a member of this group.",
            )
        ]


class SavedView(ScopedModel):
    """A person's own way to look at a list, under a name: the query string of its address. ``owner_id`` is whose."""

    list_name = models.CharField(max_length=50)
    name = models.CharField(max_length=200)
    query = models.CharField(max_length=2000)

    class Meta(ScopedModel.Meta):
        db_table = "saved_view"
        constraints = [
            models.UniqueConstraint(
                fields=["owner_id", "list_name", "name"],
                name="saved_view_name",
                violation_error_message="You have a view of this name.",
            )
        ]


class Credential(KernelTable):
    """A user's password, hashed by Django's hashers."""

    user = models.OneToOneField(UserAccount, models.PROTECT, primary_key=True, related_name="credential")
    password = models.TextField()
    changed_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "credential"


class LoginSession(KernelTable):
    """A login that lasts: its secret (kept as SHA-256) buys new tokens until it ends."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    user = models.ForeignKey(UserAccount, models.PROTECT, related_name="sessions")
    secret_hash = models.BinaryField(unique=True)
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "login_session"


class SigningKey(KernelTable):
    """A key that tokens are signed with: the one that is not retired. Retired ones stay published for a day."""

    kid = models.CharField(max_length=40, primary_key=True)
    private_key = models.TextField()
    public_jwk = models.JSONField()
    created_at = models.DateTimeField(default=now)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "signing_key"
