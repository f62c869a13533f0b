"""The scopes of API keys, described for the form that creates a key."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

SCOPES: dict[str, dict[str, str]] = {
    "Requests": {
        "chat:write": "Send requests and wait for their answers.",
        "user:name": "Name any user in userId. Without it, requests of the key belong to no user.",
        "queue:read": "List requests and read the state of the queue.",
        "queue:write": "Submit, cancel, and retry requests.",
        "queue:admin": "Pause and resume priorities, and reset circuits.",
        "queue:cleanup": "Delete old requests.",
        "content:read": "Read prompts and answers.",
    },
    "Cache": {
        "cache:read": "Look up answers and read the cache's statistics.",
        "cache:write": "Store, report, and remove entries.",
    },
    "Spend": {
        "cost:read": "Read costs, budgets, prices, and alerts.",
        "usage:write": "Report calls that were made elsewhere.",
        "budget:write": "Create, change and delete budgets, and change cost settings.",
        "alert:write": "Acknowledge and resolve alerts.",
        "advice:write": "Apply, dismiss, and undo recommendations.",
    },
    "Finance": {
        "finance:read": "Export the ledger, statements, and closed months.",
        "finance:write": "Upload invoices and close months.",
    },
    "Monitoring": {
        "health:read": "Read the health and incidents of the installation.",
        "metrics:read": "Read the metrics of the organization for Prometheus.",
        "audit:read": "Read the audit log.",
        "security_log:read": "Read the security events of the organization.",
    },
    "Administration": {
        "alias:write": "Create, change, and remove aliases of models.",
        "key:limit": "List API keys, and change the limits, addresses, webhooks, and expiry of other keys.",
        "privacy:erase": "Erase the content of a user or of everyone, and read the receipts.",
    },
}


def scope_choices() -> list[tuple[str, list[tuple[str, SafeString]]]]:
    """Form choices: each group with its scopes and their descriptions."""
    return [
        (group, [(name, format_html("<span><code>{}</code> {}</span>", name, text)) for name, text in scopes.items()])
        for group, scopes in SCOPES.items()
    ]
