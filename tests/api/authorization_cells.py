"""The pages in the authorization matrix, how each is called, and the expected result.

The required permissions are repeated here, so that a change in the code alone fails the test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from aiinfra.tenants.authorization import PERMISSIONS, Role

PUBLIC, SIGNED_IN = "public", "signed-in"
ALERTS, NOTIFICATIONS = "staff:manage_installation_alerts", "staff:manage_installation_notifications"
PRICES, SECURITY_LOG = "staff:approve_prices", "staff:read_security_log"
STAFF_PREFIX = "/admin/"


@dataclass(frozen=True)
class PageCell:
    """A page or action of the browser; `names` is the kind of row, or the word, in its URL."""

    url_name: str
    method: str
    permission: str
    names: str = ""
    expected: str = "open"
    """The result for a user with the permission; 404 if the page needs a row that the test users do not have."""

    def __str__(self) -> str:
        return f"{self.method} {self.url_name}"


PAGE_CELLS = [
    PageCell("home", "get", SIGNED_IN),
    PageCell("login", "get", PUBLIC),
    PageCell("logout", "post", SIGNED_IN),
    PageCell("password", "get", SIGNED_IN),
    PageCell("password", "post", SIGNED_IN),
    PageCell("switch_organization", "post", SIGNED_IN),
    PageCell("invitation", "get", PUBLIC, "token"),
    PageCell("invitation_accept", "get", PUBLIC, expected="404"),
    PageCell("account_login", "get", PUBLIC),
    PageCell("account_logout", "post", SIGNED_IN),
    PageCell("account_change_password", "get", SIGNED_IN),
    PageCell("mfa_list_webauthn", "get", SIGNED_IN),
    PageCell("mfa_authenticate", "get", PUBLIC),
    PageCell("mfa_login_webauthn", "get", PUBLIC),
    PageCell("account_reset_password", "get", PUBLIC),
    PageCell("account_reset_password_done", "get", PUBLIC),
    PageCell("account_reset_password_from_key", "get", PUBLIC, "reset"),
    PageCell("account_reset_password_from_key_done", "get", PUBLIC),
    PageCell("sso", "get", PUBLIC),
    PageCell("sso_callback", "get", PUBLIC),
    PageCell("sso_start", "get", PUBLIC, "slug", expected="404"),
    PageCell("sso_settings", "get", "sso:manage"),
    PageCell("sso_settings", "post", "sso:manage"),
    PageCell("sso_remove", "post", "sso:manage"),
    PageCell("mfa_index", "get", SIGNED_IN),
    PageCell("mfa_activate_totp", "get", SIGNED_IN),
    PageCell("mfa_deactivate_totp", "get", SIGNED_IN, expected="404"),
    PageCell("mfa_add_webauthn", "get", SIGNED_IN),
    PageCell("mfa_remove_webauthn", "get", SIGNED_IN, "passkey"),
    PageCell("mfa_view_recovery_codes", "get", SIGNED_IN, expected="404"),
    PageCell("mfa_generate_recovery_codes", "get", SIGNED_IN),
    PageCell("account_reauthenticate", "get", SIGNED_IN),
    PageCell("mfa_reauthenticate", "get", SIGNED_IN),
    PageCell("mfa_reauthenticate_webauthn", "get", SIGNED_IN),
    PageCell("sessions_end", "post", SIGNED_IN),
    PageCell("session_end", "post", SIGNED_IN, "session", expected="404"),
    PageCell("members", "get", "member:read"),
    PageCell("member_invite", "post", "member:manage"),
    PageCell("member_role", "post", "member:manage", "membership"),
    PageCell("member_remove", "post", "member:manage", "membership"),
    PageCell("invitation_withdraw", "post", "member:manage", "invitation"),
    PageCell("keys", "get", "key:manage"),
    PageCell("key_create", "post", "key:manage"),
    PageCell("key_rotate", "post", "key:manage", "key"),
    PageCell("key_limits", "get", "key:manage", "key"),
    PageCell("key_limits", "post", "key:manage", "key"),
    PageCell("key_revoke", "post", "key:manage", "key"),
    PageCell("playground", "get", "chat:write"),
    PageCell("request_steps", "get", "queue:read", "pending"),
    PageCell("reference", "get", "queue:read"),
    PageCell("first_call", "get", "queue:read"),
    PageCell("first_call_key", "post", "key:manage"),
    PageCell("first_call_waiting", "get", "queue:read"),
    PageCell("aliases", "get", "chat:write"),
    PageCell("alias_create", "get", "alias:write"),
    PageCell("alias_create", "post", "alias:write"),
    PageCell("alias_change", "get", "alias:write", "alias"),
    PageCell("alias_change", "post", "alias:write", "alias"),
    PageCell("alias_remove", "post", "alias:write", "alias"),
    PageCell("model_choices", "get", "key:manage"),
    PageCell("organization", "get", "organization:write"),
    PageCell("organization", "post", "organization:write"),
    PageCell("audit", "get", "audit:read"),
    PageCell("plotly_js", "get", PUBLIC, "release"),
    PageCell("api_schema", "get", PUBLIC),
    PageCell("healthz", "get", PUBLIC),
    PageCell("readyz", "get", PUBLIC),
    PageCell("alerts", "get", "cost:read"),
    PageCell("alert_count", "get", "cost:read"),
    PageCell("alerts_acknowledge", "post", "alert:write"),
    PageCell("alert", "get", "cost:read", "alert"),
    PageCell("alert_acknowledge", "post", "alert:write", "alert"),
    PageCell("alert_snooze", "post", "alert:write", "alert"),
    PageCell("alert_resolve", "post", "alert:write", "alert"),
    PageCell("alert_rules", "get", "alert:manage"),
    PageCell("alert_rules", "post", "alert:manage"),
    PageCell("installation_settings", "get", ALERTS),
    PageCell("installation_settings", "post", ALERTS),
    PageCell("installation_alerts", "get", ALERTS),
    PageCell("installation_alerts_acknowledge", "post", ALERTS),
    PageCell("installation_alert", "get", ALERTS, "alert"),
    PageCell("installation_alert_acknowledge", "post", ALERTS, "alert"),
    PageCell("installation_alert_snooze", "post", ALERTS, "alert"),
    PageCell("installation_alert_resolve", "post", ALERTS, "alert"),
    PageCell("installation_notifications", "get", NOTIFICATIONS),
    PageCell("installation_notification_add", "post", NOTIFICATIONS),
    PageCell("installation_notification_switch", "post", NOTIFICATIONS, "channel"),
    PageCell("installation_notification_remove", "post", NOTIFICATIONS, "channel"),
    PageCell("installation_notification_test", "post", NOTIFICATIONS, "channel"),
    PageCell("installation_notification_again", "post", NOTIFICATIONS, "delivery"),
    PageCell("privacy", "get", "privacy:manage"),
    PageCell("privacy", "post", "privacy:manage"),
    PageCell("privacy_erase", "post", "privacy:manage"),
    PageCell("staff", "get", SECURITY_LOG),
    PageCell("security_log", "get", SECURITY_LOG),
    PageCell("security_log_export", "get", SECURITY_LOG),
    PageCell("notifications", "get", "notification:manage"),
    PageCell("notification_add", "post", "notification:manage"),
    PageCell("notification_switch", "post", "notification:manage", "channel"),
    PageCell("notification_remove", "post", "notification:manage", "channel"),
    PageCell("notification_test", "post", "notification:manage", "channel"),
    PageCell("notification_again", "post", "notification:manage", "delivery"),
    PageCell("costs", "get", "cost:read"),
    PageCell("cost_figure", "get", "cost:read", "cost_chart"),
    PageCell("cost_figure_table", "get", "cost:read", "cost_chart"),
    PageCell("cost_csv", "get", "cost:read"),
    PageCell("cost_settings", "get", "budget:write"),
    PageCell("cost_settings", "post", "budget:write"),
    PageCell("queue_live", "get", "queue:read"),
    PageCell("queue_figure", "get", "queue:read", "figure"),
    PageCell("queue_figure_table", "get", "queue:read", "figure"),
    PageCell("queue_pause", "post", "queue:admin"),
    PageCell("queue_resume", "post", "queue:admin"),
    PageCell("queue_requests", "get", "queue:read"),
    PageCell("queue_request_changes", "get", "queue:read"),
    PageCell("queue_request_export", "get", "queue:read"),
    PageCell("queue_cancel_many", "post", "queue:write"),
    PageCell("queue_retry_many", "post", "queue:write"),
    PageCell("queue_request", "get", "queue:read", "pending"),
    PageCell("queue_request_content", "get", "content:read", "pending"),
    PageCell("queue_cancel", "post", "queue:write", "pending"),
    PageCell("queue_retry", "post", "queue:write", "failed"),
    PageCell("batches", "get", "queue:read"),
    PageCell("batch_cancel", "post", "queue:write", "batch"),
    PageCell("batch_file", "get", "content:read", "batch_file"),
    PageCell("providers", "get", "queue:read"),
    PageCell("provider_latency", "get", "queue:read"),
    PageCell("provider_latency_table", "get", "queue:read"),
    PageCell("cache", "get", "cache:read"),
    PageCell("cache_figure", "get", "cache:read", "cache_chart"),
    PageCell("cache_figure_table", "get", "cache:read", "cache_chart"),
    PageCell("cache_proposal_apply", "post", "cache:manage", "threshold"),
    PageCell("cache_proposal_dismiss", "post", "cache:manage", "threshold"),
    PageCell("cache_entries", "get", "cache:read"),
    PageCell("cache_clear", "post", "cache:write"),
    PageCell("cache_entry", "get", "cache:read", "entry"),
    PageCell("cache_entry_pin", "post", "cache:write", "entry"),
    PageCell("cache_entry_unpin", "post", "cache:write", "entry"),
    PageCell("cache_entry_remove", "post", "cache:write", "entry"),
    PageCell("cache_review", "get", "cache:read"),
    PageCell("cache_judgement", "post", "cache:write", "hit"),
    PageCell("cache_settings", "get", "cache:manage"),
    PageCell("cache_settings", "post", "cache:manage"),
    PageCell("recommendations", "get", "cost:read"),
    PageCell("recommendation_provider", "get", "cost:read"),
    PageCell("recommendation", "get", "cost:read", "open_advice"),
    PageCell("recommendation_apply", "post", "advice:write", "open_advice"),
    PageCell("recommendation_dismiss", "post", "advice:write", "open_advice"),
    PageCell("recommendation_undo", "post", "advice:write", "applied_advice"),
    PageCell("finance", "get", "finance:read"),
    PageCell("finance_statement", "get", "finance:read", "month"),
    PageCell("finance_statement_file", "get", "finance:read", "month"),
    PageCell("finance_close", "post", "finance:write", "month"),
    PageCell("finance_closed", "get", "finance:read", "closed_month"),
    PageCell("finance_closed_file", "get", "finance:read", "closed_month"),
    PageCell("finance_exports", "get", "finance:read"),
    PageCell("finance_export_file", "get", "finance:read"),
    PageCell("finance_invoices", "get", "finance:read"),
    PageCell("finance_invoice_upload", "post", "finance:write"),
    PageCell("finance_invoice", "get", "finance:read", "invoice"),
    PageCell("finance_invoice_file", "get", "finance:read", "invoice"),
    PageCell("budgets", "get", "cost:read"),
    PageCell("budget_create", "get", "budget:write"),
    PageCell("budget_create", "post", "budget:write"),
    PageCell("budget_preview", "get", "budget:write"),
    PageCell("budget", "get", "cost:read", "budget"),
    PageCell("budget_edit", "get", "budget:write", "budget"),
    PageCell("budget_edit", "post", "budget:write", "budget"),
    PageCell("budget_remove", "post", "budget:write", "budget"),
    PageCell("budget_increase", "post", "budget:write", "budget"),
    PageCell("budget_increase_withdraw", "post", "budget:write", "increase"),
    PageCell("budget_burn_down", "get", "cost:read", "budget"),
    PageCell("budget_burn_down_table", "get", "cost:read", "budget"),
    PageCell("budget_history", "get", "cost:read", "budget"),
    PageCell("budget_history_table", "get", "cost:read", "budget"),
    PageCell("routes", "get", "queue:read"),
    PageCell("route", "get", "queue:read", "price"),
    PageCell("route_change", "post", "route:manage", "price"),
    PageCell("route_defaults", "post", "route:manage"),
    PageCell("prices", "get", "cost:read"),
    PageCell("price_history", "get", "cost:read", "price"),
    PageCell("price_add", "get", PRICES),
    PageCell("price_add", "post", PRICES),
    PageCell("price_proposals", "get", "cost:read"),
    PageCell("price_approve", "post", PRICES, "proposal"),
    PageCell("price_reject", "post", PRICES, "proposal"),
    PageCell("price_repricing", "get", PRICES),
    PageCell("price_reprice", "post", PRICES),
]

OF_AN_ORGANIZATION = {
    "batch",
    "batch_file",
    "membership",
    "invitation",
    "key",
    "pending",
    "failed",
    "invoice",
    "open_advice",
    "applied_advice",
    "budget",
    "increase",
    "alert",
    "alias",
    "channel",
    "delivery",
    "threshold",
}
"""Kinds of rows that belong to an organization."""


def expected_of_page(cell: PageCell, role: Role, credential: str, place: str) -> str:
    """Pages require a session; an API key does not log in. None of the test users is staff."""
    if cell.permission == PUBLIC:
        return cell.expected
    if place == "anonymous" or credential == "key":
        return "login"
    if cell.permission.startswith("staff:"):
        return "403"
    if cell.permission != SIGNED_IN and role not in PERMISSIONS[cell.permission].roles:
        return "403"
    return "404" if place == "foreign" else cell.expected


def views(resolver: URLResolver | None = None, prefix: str = "/") -> Iterator[tuple[str, Any, str | None]]:
    """The (address, view, name) of every URL pattern."""
    for entry in (resolver or get_resolver()).url_patterns:
        address = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield address, entry.callback, entry.name
        else:
            yield from views(entry, address)
