"""Addresses of login, password reset, second factors and sessions. The names are those that allauth looks for."""

from allauth.account import views as account
from allauth.mfa.base import views as factors
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.urls import path, re_path

from aiinfra.tenants.access import public
from aiinfra.tenants.login import views
from aiinfra.tenants.login.sessions import with_own_login as own_login
from aiinfra.tenants.views import session

urlpatterns = [
    path("login/", session.log_in, name="login"),
    path("login/", session.log_in, name="account_login"),
    path("login/second-factor/", public(factors.authenticate), name="mfa_authenticate"),
    path("login/passkey/", public(passkeys.login_webauthn), name="mfa_login_webauthn"),
    path("logout/", session.log_out, name="logout"),
    path("logout/", session.log_out, name="account_logout"),
    path("password/forgot/", views.forgot_password, name="account_reset_password"),
    path("password/forgot/sent/", public(account.password_reset_done), name="account_reset_password_done"),
    re_path(
        r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[-\w]+)/$",
        views.reset_password,
        name="account_reset_password_from_key",
    ),
    path("password/reset/", views.password_was_reset, name="account_reset_password_from_key_done"),
    path("settings/password/", session.password, name="password"),
    path("settings/password/", session.password, name="account_change_password"),
    path("settings/security/", views.security, name="mfa_index"),
    path("settings/security/", views.security, name="mfa_list_webauthn"),
    path("settings/security/app/", own_login(totp.activate_totp), name="mfa_activate_totp"),
    path("settings/security/app/remove/", own_login(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("settings/security/passkeys/add/", own_login(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path(
        "settings/security/passkeys/<int:pk>/remove/",
        own_login(passkeys.remove_webauthn),
        name="mfa_remove_webauthn",
    ),
    path(
        "settings/security/recovery-codes/",
        own_login(recovery.view_recovery_codes),
        name="mfa_view_recovery_codes",
    ),
    path(
        "settings/security/recovery-codes/new/",
        own_login(recovery.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path("settings/security/confirm/", own_login(account.reauthenticate), name="account_reauthenticate"),
    path("settings/security/confirm/code/", own_login(factors.reauthenticate), name="mfa_reauthenticate"),
    path(
        "settings/security/confirm/passkey/",
        own_login(passkeys.reauthenticate_webauthn),
        name="mfa_reauthenticate_webauthn",
    ),
    path("settings/security/sessions/end/", views.end_other_sessions, name="sessions_end"),
    path("settings/security/sessions/<uuid:session_id>/end/", views.end_session, name="session_end"),
]
