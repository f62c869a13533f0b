"""Code snippets that make a call with common clients."""

from dataclasses import dataclass

MODEL = "cheap"
"""A built-in alias, which every organization has."""
QUESTION = "Say hello"
NO_KEY = "aik_..."


@dataclass(frozen=True)
class Snippet:
    """The snippet for one client: its name, its ID, and what to paste where."""

    name: str
    title: str
    where: str
    text: str


def snippets(address: str, key: str = NO_KEY) -> list[Snippet]:
    """The snippets for a base URL (without a trailing slash) and a key."""
    return [
        Snippet("curl", "curl", "In a terminal:", _curl(address, key)),
        Snippet("python", "Python (openai)", "After pip install openai:", _python(address, key)),
        Snippet("node", "Node (openai)", "After npm install openai, in a file like call.mjs:", _node(address, key)),
        Snippet("anthropic", "Python (anthropic)", "After pip install anthropic:", _anthropic(address, key)),
        Snippet("claude-code", "Claude Code", "In the terminal that starts it:", _claude_code(address, key)),
        Snippet("codex", "Codex", "In ~/.codex/config.toml, model lines above all tables:", _codex(address, key)),
    ]


def _curl(address: str, key: str) -> str:
    return f"""curl -sS {address}/v1/chat/completions \\
  -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
  -d '{{"model": "{MODEL}", "max_tokens": 50, "messages": [{{"role": "user", "content": "{QUESTION}"}}]}}'"""


def _python(address: str, key: str) -> str:
    return f"""import openai

client = openai.OpenAI(base_url="{address}/v1", api_key="{key}")
answer = client.chat.completions.create(
    model="{MODEL}",
    max_tokens=50,
    messages=[{{"role": "user", "content": "{QUESTION}"}}],
)
print(answer.choices[0].message.content)"""


def _node(address: str, key: str) -> str:
    return f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{address}/v1", apiKey: "{key}" }});
const answer = await client.chat.completions.create({{
  model: "{MODEL}",
  max_tokens: 50,
  messages: [{{ role: "user", content: "{QUESTION}" }}],
}});
console.log(answer.choices[0].message.content);"""


def _anthropic(address: str, key: str) -> str:
    return f"""import anthropic

client = anthropic.Anthropic(base_url="{address}", api_key="{key}")
answer = client.messages.create(
    model="{MODEL}",
    max_tokens=50,
    messages=[{{"role": "user", "content": "{QUESTION}"}}],
)
print(answer.content[0].text)"""


def _claude_code(address: str, key: str) -> str:
    return f"""export ANTHROPIC_BASE_URL={address}
export ANTHROPIC_AUTH_TOKEN={key}
unset ANTHROPIC_API_KEY
claude -p "{QUESTION}\""""


def _codex(address: str, key: str) -> str:
    return f"""# In the terminal that starts Codex: export AIINFRA_API_KEY={key}
model = "{MODEL}"
model_provider = "aiinfra"

[model_providers.aiinfra]
name = "aiinfra"
base_url = "{address}/v1"
env_key = "AIINFRA_API_KEY"
wire_api = "responses\""""
