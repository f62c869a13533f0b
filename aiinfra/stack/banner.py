"""What a person is told once the product answers."""

import time
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from aiinfra.providers.registry import provider_names, sandbox_url
from aiinfra.stack import programs
from aiinfra.stack.address import web_url
from aiinfra.tenants import demo

START_LIMIT_S = 60
EXAMPLE_MODELS = {"deepseek": "deepseek-chat", "openai": "gpt-3.5-turbo", "anthropic": "claude-haiku-4-5"}
RULE = "-" * 78


def wait_for_web(limit_s: float = START_LIMIT_S) -> bool:
    """Whether the web server answers within the limit, with anything but a server error."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if _answers():
            return True
        time.sleep(0.2)
    return False


def banner() -> str:
    """Address, log-ins and a command to try."""
    parts = [RULE, f"aiinfra is running at {web_url()}", "", *_people(), *_example(), *_notes(), RULE]
    return "\n".join(parts)


def _answers() -> bool:
    """A redirect to HTTPS or a refused host name is an answer as well."""
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
    names = demo.demo_logins()
    if not names:
        return []
    return [f"Log in as  {', '.join(names)}", f"Password   {demo.DEMO_PASSWORD}", ""]


def _example() -> list[str]:
    """Empty where there is no demo key or no provider that we know a model of."""
    if not demo.key_path().exists():
        return []
    provider = next((name for name in EXAMPLE_MODELS if name in provider_names()), None)
    return _curl(provider, demo.key_path().read_text(encoding="utf-8").strip()) if provider else []


def _curl(provider: str, key: str) -> list[str]:
    """Lines to paste into a shell: queue a request, then ask for its answer."""
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
    notes = [f"Logs are in {programs.log_directory()}. Ctrl-C stops everything."]
    if sandbox_url():
        notes.append("No provider key is set: a sandbox on this machine answers instead of a real provider.")
    return notes
