"""The form of an organization's identity provider."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from aiinfra.edit_forms import EditForm
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ROLE_CHOICES
from aiinfra.tenants.sso.models import IdentityProvider

DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


class IdentityProviderForm(EditForm, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """`issuer_problem` is why the posted issuer does not work: asking it takes too long for a transaction."""

    issuer = forms.CharField(
        label="Issuer",
        max_length=500,
        help_text="The URL of your identity provider, without /.well-known/openid-configuration.",
    )
    client_id = forms.CharField(label="Client ID", max_length=255)
    client_secret = forms.CharField(
        label="Client secret",
        required=False,
        max_length=1000,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Stored encrypted. Leave empty to keep the current one.",
    )
    domain_list = forms.CharField(
        label="Email domains",
        max_length=1000,
        help_text="Such as company.com. Only people with a verified address in one of these domains can log in.",
    )
    role_claim = forms.CharField(
        label="Role claim",
        required=False,
        max_length=100,
        help_text="The claim of the ID token that decides the role, such as groups.",
    )
    role_lines = forms.CharField(
        label="Roles",
        required=False,
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "platform-team = operator"}),
        help_text=(
            "One per line: a value of the claim, and its role. If several match, the highest role applies. Roles are "
            "updated at each login."
        ),
    )
    default_role = forms.ChoiceField(label="Default role", required=False, choices=[("", "No access"), *ROLE_CHOICES])
    is_enforced = forms.BooleanField(
        label="Require single sign-on",
        required=False,
        help_text="Members can open this organization only after they log in through your identity provider.",
    )

    field_order = ("issuer", "client_id", "client_secret", "domain_list", "role_claim", "role_lines", "default_role")

    class Meta:
        model = IdentityProvider
        fields = ["issuer", "client_id", "role_claim", "default_role", "is_enforced"]

    def __init__(self, *args: Any, was_tried: bool, issuer_problem: str = "", **kwargs: Any) -> None:
        stored: IdentityProvider = kwargs["instance"]
        kwargs["initial"] = {
            "domain_list": ", ".join(stored.domains),
            "role_lines": "\n".join(f"{value} = {role}" for value, role in stored.role_map.items()),
        }
        super().__init__(*args, **kwargs)
        self._was_tried, self._issuer_problem = was_tried, issuer_problem

    def clean_issuer(self) -> str:
        """As typed: issuers are compared character by character."""
        if self._issuer_problem:
            raise ValidationError(self._issuer_problem)
        return str(self.cleaned_data["issuer"])

    def clean_domain_list(self) -> list[str]:
        """The domains in lowercase."""
        domains = [part.lstrip("@") for part in re.split(r"[\s,]+", self.cleaned_data["domain_list"].lower()) if part]
        for domain in domains:
            if not DOMAIN.fullmatch(domain):
                raise ValidationError(f"{domain} is not a domain.")
        return domains

    def clean_role_lines(self) -> dict[str, str]:
        """The role of each value."""
        found = {}
        for line in filter(None, map(str.strip, self.cleaned_data["role_lines"].splitlines())):
            value, _, role = (part.strip() for part in line.rpartition("="))
            if not value or role not in set(Role):
                raise ValidationError(f'Write each line as "value = role", with one of: {", ".join(Role)}.')
            found[value] = role
        return found

    def clean_is_enforced(self) -> bool:
        """A mistake must not lock everybody out."""
        if self.cleaned_data["is_enforced"] and not self._was_tried:
            raise ValidationError("Log in through the provider once before you require it.")
        return bool(self.cleaned_data["is_enforced"])

    def save(self, commit: bool = True) -> IdentityProvider:
        """Store it; an empty secret keeps the current one."""
        self.instance.domains = self.cleaned_data["domain_list"]
        self.instance.role_map = self.cleaned_data["role_lines"]
        if self.cleaned_data["client_secret"]:
            self.instance.client_secret = self.cleaned_data["client_secret"]
        saved: IdentityProvider = super().save(commit)
        return saved
