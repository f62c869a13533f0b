"""The forms of the tenants' pages."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone

from aiinfra.edit_forms import EditForm
from aiinfra.names import validate_visible
from aiinfra.tenants.authorization import Role, may_grant, scopes_of
from aiinfra.tenants.key_budget import DOLLARS_BELOW, PERIODS, KeyBudget
from aiinfra.tenants.key_limits import NANO
from aiinfra.tenants.key_limits_form import KeyLimitsFields
from aiinfra.tenants.models import Invitation, Organization, User
from aiinfra.tenants.scopes import scope_choices
from aiinfra.tenants.security_log.export import Filters

LIFETIMES = [("", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In one year")]
OVERLAPS = [("0", "Immediately"), ("1", "After 1 hour"), ("24", "After 24 hours")]


def roles_below(giver: Role) -> list[tuple[str, str]]:
    """The roles that this role may grant, as choices."""
    return [(role.value, role.value.capitalize()) for role in Role if may_grant(giver, role)]


class RoleForm(forms.Form):
    """A member's role; offers only roles that the giver may grant."""

    role = forms.ChoiceField()

    def __init__(self, *args: object, giver: Role, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["role"].choices = roles_below(giver)  # type: ignore[attr-defined]

    def chosen_role(self) -> Role:
        """The role of a valid form."""
        return Role(self.cleaned_data["role"])


class InviteForm(RoleForm):
    """Whom to invite, and with which role."""

    email = forms.EmailField(
        label="Email address",
        max_length=Invitation._meta.get_field("email").max_length,
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "name@company.com"}),
    )
    field_order = ["email", "role"]


class KeyForm(KeyLimitsFields, RoleForm):
    """A new API key. Selecting no scope grants all scopes of the role."""

    name = forms.CharField(
        max_length=100,
        validators=[validate_visible],
        help_text='What uses this key, for example "billing export" or "support bot".',
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=scope_choices,
        help_text="Select none to grant all scopes of the role.",
    )
    lifetime = forms.ChoiceField(required=False, label="Expires", choices=LIFETIMES)
    budget = forms.DecimalField(
        label="Budget (USD)",
        required=False,
        min_value=0,
        max_value=Decimal(DOLLARS_BELOW) - Decimal("1e-9"),
        decimal_places=9,
        help_text="Calls that exceed it are refused. Empty: only other budgets apply. Change it under Budgets.",
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal", "autocomplete": "off"}),
    )
    budget_period = forms.ChoiceField(
        required=False, label="Budget period", choices=list(PERIODS.items()), initial="monthly"
    )
    field_order = ["name", "role", "scopes", "lifetime", "budget", "budget_period"]

    def __init__(self, *args: object, giver: Role, **kwargs: object) -> None:
        super().__init__(*args, giver=giver, **kwargs)
        self.fields["role"].initial = Role.OPERATOR.value
        self.fields["role"].help_text = "Operators can send requests. Viewers and finance can only read and report."

    def limit_fields(self) -> list[forms.BoundField]:
        """The fields of the key's own limits."""
        return [self[name] for name in KeyLimitsFields.base_fields]

    def clean(self) -> None:
        """Refuse scopes that the role does not have, by name."""
        role = self.cleaned_data.get("role")
        if role and (beyond := set(self.cleaned_data.get("scopes", [])) - set(scopes_of(Role(role)))):
            self.add_error("scopes", f"The role {role} does not include these scopes: {', '.join(sorted(beyond))}.")

    def chosen_scopes(self) -> list[str] | None:
        """The scopes of a valid form; None means all."""
        return self.cleaned_data["scopes"] or None

    def chosen_budget(self) -> KeyBudget | None:
        """The budget of a valid form; None for none of the key's own."""
        dollars = self.cleaned_data["budget"]
        if dollars is None:
            return None
        return KeyBudget(int(dollars * NANO), self.cleaned_data["budget_period"] or "monthly")

    def chosen_expiry(self) -> datetime | None:
        """When the key of a valid form expires; None means never."""
        days = self.cleaned_data["lifetime"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class RotateForm(forms.Form):
    """How long the old key keeps working."""

    overlap = forms.ChoiceField(label="The old key stops working", choices=OVERLAPS, initial="1")

    def chosen_overlap(self) -> timedelta:
        """How long the old key of a valid form keeps working."""
        return timedelta(hours=int(self.cleaned_data["overlap"]))


class OrganizationForm(EditForm, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The settings of an organization that an admin may change."""

    name = forms.CharField(max_length=200, validators=[validate_visible])
    time_zone = forms.ChoiceField(
        choices=[(name, name.replace("_", " ")) for name in sorted(available_timezones())],
        help_text="Budgets and reports start their days, weeks, and months in this time zone.",
    )

    class Meta:
        model = Organization
        fields = ["name", "time_zone"]


class JoinForm(forms.Form):
    """The password of a new account."""

    password = forms.CharField(
        strip=False,
        max_length=1000,
        help_text="At least 12 characters.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: object, email: str, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._email = email

    def clean_password(self) -> str:
        """Apply Django's password validators."""
        password: str = self.cleaned_data["password"]
        validate_password(password, User(username=self._email, email=self._email))
        return password


class AuditFilter(forms.Form):
    """Which audit events to show; an unknown value shows all."""

    actor = forms.ChoiceField(
        required=False,
        label="Who",
        choices=[("", "Anyone"), ("user:", "People"), ("key:", "API keys"), ("command:", "Commands")],
    )
    verb = forms.ChoiceField(
        required=False,
        label="What",
        choices=[
            ("", "Everything"),
            ("member.", "Members"),
            ("api_key.", "API keys"),
            ("organization.", "Organization"),
            ("request.", "Requests"),
            ("queue.", "Queue"),
            ("budget.", "Budgets"),
            ("cost_policy.", "Spend policies"),
            ("alert.", "Alerts"),
            ("recommendation.", "Recommendations"),
            ("invoice.", "Invoices"),
            ("month.", "Closed months"),
            ("channel.", "Notifications"),
        ],
    )
    text = forms.CharField(
        required=False,
        max_length=200,
        label="Search",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search target or actor", "data-search": True}),
    )

    def chosen(self) -> dict[str, str]:
        """The valid filters, as arguments of `audit_events`."""
        try:
            self.full_clean()
        except ValidationError:
            return {}
        return {name: value for name, value in self.cleaned_data.items() if value}


class SecurityFilter(forms.Form):
    """Which security events to show; an invalid value is ignored."""

    event = forms.CharField(
        required=False,
        max_length=64,
        label="Event",
        widget=forms.TextInput(attrs={"placeholder": "login.", "data-search": True}),
    )
    actor = forms.CharField(
        required=False,
        max_length=200,
        label="Actor",
        widget=forms.TextInput(attrs={"placeholder": "user:name", "data-search": True}),
    )
    organization = forms.SlugField(required=False, max_length=63, label="Organization")
    address = forms.GenericIPAddressField(required=False, label="IP address")
    first = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def chosen(self) -> Filters:
        """The valid filters. Days begin at midnight of the organization's time zone; `last` is included."""
        self.full_clean()
        chosen: dict[str, Any] = {name: value for name, value in self.cleaned_data.items() if value}
        for name, days in (("first", 0), ("last", 1)):
            if name in chosen:
                midnight = datetime.combine(chosen[name] + timedelta(days=days), time.min)
                chosen[name] = timezone.make_aware(midnight)
        return cast(Filters, chosen)

    def shown(self) -> dict[str, str]:
        """The valid filters as in the address."""
        self.full_clean()
        return {name: str(value) for name, value in self.cleaned_data.items() if value}
