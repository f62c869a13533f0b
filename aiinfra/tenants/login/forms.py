"""The forms of the login and password pages."""

from typing import Any

from django import forms
from django.contrib import auth
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from aiinfra.tenants.login.resets import ask
from aiinfra.tenants.models import User


class LoginForm(AuthenticationForm):
    """Name and password. Validation raises TooManyAttemptsError."""

    error_messages = {
        "invalid_login": "The name or the password is wrong.",
        "inactive": "This account is inactive.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "Email or username"


class ForgottenPasswordForm(forms.Form):
    """Takes every address: allauth's form looks for the account, which takes longer if there is one."""

    email = forms.EmailField(max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"}))

    def save(self, _request: HttpRequest) -> None:
        """Ask for a link."""
        ask(self.cleaned_data["email"])


class PasswordForm(PasswordChangeForm):
    """The current password, counted like a login, and the new one twice. Validation raises TooManyAttemptsError."""

    def __init__(self, user: User, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self._request = request

    def clean_old_password(self) -> str:
        """Check it where every login is checked."""
        old: str = self.cleaned_data["old_password"]
        name = self.user.get_username()
        if auth.authenticate(self._request, username=name, password=old) != self.user:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return old
