"""The message shown once the product is up."""

import sys
import time
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from aiinfra.providers.registry import provider_names, sandbox_url
from aiinfra.stack import programs
from aiinfra.stack.address import web_url
from aiinfra.tenants import administrators, demo

START_LIMIT_S = 60
EXAMPLE_MODELS = {"deepseek": "deepseek-chat", "openai": "gpt-3.5-turbo", "anthropic": "claude-haiku-4-5"}
RULE = "-" * 78


def wait_for_web(limit_s: float = START_LIMIT_S) -> bool:
    """Whether the web server answers within the limit with anything but a server error."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if _answers():
            return True
        time.sleep(0.2)
    return False


def banner() -> str:
    """Address, logins and an example command."""
    parts = [RULE, f"aiinfra is running at {web_url()}", "", *_people(), *_example(), *_notes(), RULE]
    return "\n".join(parts)


def _answers() -> bool:
    """A redirect to HTTPS or a rejected host name counts as an answer."""
    address = urlsplit(web_url())
    connection = HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _people() -> list[str]:
    """Demo logins, with the password if it was not shown before; or how to create the first account."""
    if names := demo.demo_logins():
        password = demo.take_new_password() or f"is in {demo.password_path()}"
        return [f"Log in as  {', '.join(names)}", f"Password   {password}", ""]
    if administrators.exists():
        return []
    return [
        "There is no administrator. Create one from another terminal:",
        f"{sys.executable} manage.py createadmin you@company.com --organization company",
        "",
    ]


def _example() -> list[str]:
    """Empty without a demo key or a provider with an example model."""
    if not demo.key_path().exists():
        return []
    provider = next((name for name in EXAMPLE_MODELS if name in provider_names()), None)
    return _curl(provider, demo.key_path().read_text(encoding="utf-8").strip()) if provider else []


def _curl(provider: str, key: str) -> list[str]:
    """Shell commands that queue a request, then fetch its answer."""
    body = (
        f'{{"provider": "{provider}", "model": "{EXAMPLE_MODELS[provider]}", '
        '"messages": [{"role": "user", "content": "Say hello"}]}'
    )
    return [
        "Try it: paste this into another terminal.",
        "",
        f"KEY={key}",
        f'REQUEST=$(curl -sS {web_url()}/api/ai/queue -H "Authorization: Bearer $KEY" \\',
        "  -H 'Content-Type: application/json' \\",
        f"  -d '{body}' \\",
        '  | tee /dev/stderr | sed -E \'s/.*"requestId": ?"([^"]+)".*/\\1/\')',
        f'sleep 2; curl -sS "{web_url()}/api/ai/queue?action=status&requestId=$REQUEST" \\',
        '  -H "Authorization: Bearer $KEY"',
        "",
    ]


def _notes() -> list[str]:
    notes = [f"Logs: {programs.log_directory()}. Press Ctrl-C to stop."]
    if sandbox_url():
        notes.append("No provider key is set. A local sandbox answers instead of a real provider.")
    return notes
