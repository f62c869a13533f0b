"""A long history: the database multiplies one row of every growing table into `ROWS` rows."""

from typing import Any

from django.apps import apps
from django.db import connection, models

from aiinfra.tenants.models import Organization
from tests.support.rows import make_row

ROWS = 20_000
DAYS = 25
"""Within all retention periods, so that jobs have nothing to delete."""

BOUNDED = frozenset(
    {
        # Bounded by what people enter, or by the number of models, rules, and months.
        *("auth_group", "auth_permission", "django_content_type", "django_rq_dashboard", "mfa_authenticator"),
        *("account_emailaddress", "account_emailconfirmation", "tenants_organization", "tenants_user"),
        *("tenants_membership", "tenants_apikey", "privacy_retentionpolicy", "privacy_legalhold"),
        *("sso_identityprovider", "sso_identity", "providers_fallbackroute", "providers_fallbackoptout"),
        *("notifications_channel", "monitoring_alertrules", "cost_app_modelprice", "cost_app_priceproposal"),
        *("cost_app_toolfee", "cost_app_modelalias", "cost_app_repricing", "cost_app_providerlimit"),
        *("cost_app_providerbilling", "cost_app_budget", "cost_app_costpolicy", "cost_app_optimizationrule"),
        *("cost_app_recommendation", "cost_app_modelstate", "cost_app_monthclose", "cost_app_invoiceimport"),
        *(
            "cost_app_invoiceupload",
            "cost_app_invoiceline",
            "cost_app_exportdelivery",
            "cache_app_cachepolicy",
            "cache_app_thresholdproposal",
        ),
        *("queue_app_queuepolicy", "queue_app_queuetotal", "queue_app_archivedmonth"),
        # Rows are deleted once they are processed.
        *(
            "batches_batchline",
            "cost_app_pendingusage",
            "monitoring_incident",
            "security_log_chainhead",
            "security_log_countedminute",
        ),
    }
)
"""Tables without a history. New tables get one unless they are listed here."""

ENDED = {
    "queue_app_airequest": {
        "status": "'completed'",
        "completed_at": "{at}",
        "started_at": "{at}",
        "counted": "{true}",
        "idempotency_key": "NULL",
        "flight": "NULL",
        "leader_id": "NULL",
        "error_code": "''",
    },
    "cost_app_attempt": {
        "state": "'settled'",
        "finished_at": "{at}",
        "dispatched_at": "{at}",
        "deadline_at": "{at}",
        "external_id": "NULL",
        "error_code": "''",
        "usage_issue": "''",
    },
    "cost_app_ledgerentry": {"attempt_id": "{uuid}", "repricing_id": "NULL", "kind": "'usage'", "calls": "1"},
    "cost_app_hold": {
        "attempt_id": "{uuid}",
        "reserved_nano": "0",
        "window_id": "(SELECT min(id) FROM cost_app_budgetwindow) + n",
    },
    "cost_app_budgetwindow": {"starts_at": "{before}", "ends_at": "{at}"},
    "cost_app_budgetincrease": {"expires_at": "{at}"},
    "cost_app_alert": {"resolved_at": "{at}", "state": "'resolved'"},
    "cache_app_cachehit": {"counted": "{true}", "reask": "{false}", "judgement": "''"},
    "notifications_delivery": {"state": "'sent'"},
    "batches_filechunk": {"number": "n + 1000000"},
    "batches_batch": {"finished_at": "{at}", "status": "'completed'"},
    "privacy_erasure": {"finished_at": "{at}"},
    "cost_app_usagehour": {"dimension": "'user'"},
    "cost_app_usageday": {"dimension": "'user'"},
    "cache_app_judgedpair": {"judged_by": "'reask'"},
    "tenants_onceanswer": {"created_at": "{now}"},
    "tenants_auditevent": {"sequence": "n + 1000000"},
    "security_log_securityevent": {"sequence": "n + 1000000"},
}
"""Column values, in SQL, of finished rows."""

WITHOUT_COUNTS = {"errors": {}, "latencies": {}}
NAMES = frozenset({"value", "entry_id", "question_id", "cause", "name", "topic", "user_ref"})
"""Text columns that differ in each row, in addition to unique ones."""


def make_long_history(organization: Organization) -> None:
    """Fill every table that grows."""
    for model in sorted(_growing(), key=lambda each: each._meta.db_table != "cost_app_attempt"):
        row = make_row(model, organization, WITHOUT_COUNTS if hasattr(model, "latencies") else None)
        _multiply(model, row)
        # Rows of other tables create their own budgets, and two budgets cannot have the same scope.
        with connection.cursor() as cursor:
            cursor.execute("UPDATE cost_app_budget SET scope_value = id + 1000000")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum does, and `keep_statistics` on SQLite


def _growing() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if model._meta.db_table not in BOUNDED]


def _multiply(model: type[models.Model], seed: models.Model) -> None:
    table, key = model._meta.db_table, model._meta.pk
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    names = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(_value(table, field) for field in fields)
    sql = f"""
        INSERT INTO {table} ({names})
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS})
        SELECT {values} FROM numbers, {table} AS seed WHERE seed."{key.column}" = %s
    """  # noqa: S608 - names of the schema
    with connection.cursor() as cursor:
        cursor.execute(sql, [key.get_db_prep_value(seed.pk, connection)])


def _value(table: str, field: "models.Field[Any, Any]") -> str:
    """The column's value in row n: as in the first row, except for times and unique values."""
    expressions = _expressions()
    if field.column in ENDED.get(table, {}):
        return ENDED[table][field.column].format(**expressions)
    if isinstance(field, models.DateTimeField) and not field.null:
        return expressions["later" if field.name.startswith(("ends", "expire")) else "at"]
    if isinstance(field, models.DateField) and not field.null:
        return expressions["day"]
    if isinstance(field, models.UUIDField | models.OneToOneField):
        return expressions["uuid"]
    if isinstance(field, models.CharField) and not field.choices and _differs(field):
        return "'h' || n"
    return f'seed."{field.column}"'


def _differs(field: "models.CharField[Any, Any]") -> bool:
    constraints = field.model._meta.total_unique_constraints
    return field.unique or field.name in NAMES or any(field.name in each.fields for each in constraints)


def _expressions() -> dict[str, str]:
    step = DAYS * 86_400 / ROWS
    if connection.vendor == "postgresql":
        return {
            "uuid": "lpad(to_hex(n), 32, '0')::uuid",
            "at": f"now() - n * interval '{step} seconds'",
            "before": f"now() - (n + 1) * interval '{step} seconds'",
            "later": f"now() + n * interval '{step} seconds'",
            "day": f"current_date - (n %% {DAYS})",
            "now": "now()",
            "true": "true",
            "false": "false",
        }
    moment = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '{}' || ({} * {}) || ' seconds')"
    return {
        "uuid": "printf('%%032x', n)",
        "at": moment.format("-", "n", step),
        "before": moment.format("-", "(n + 1)", step),
        "later": moment.format("+", "n", step),
        "day": f"date('now', '-' || (n %% {DAYS}) || ' days')",
        "now": moment.format("-", "n", 1),
        "true": "1",
        "false": "0",
    }
