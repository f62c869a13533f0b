"""Names of people, API keys, and providers on every page. Built into the templates: no `{% load %}` needed."""

from django import template

from aiinfra.tenants import actors

register = template.Library()

PROVIDER_TITLES = {"openai": "OpenAI", "deepseek": "DeepSeek", "anthropic": "Anthropic"}
"""The companies' own spelling."""


@register.filter
def actor_name(actor: str) -> str:
    """The display name of an actor; empty if unknown."""
    return actors.actor_name(actor) if actor else ""


@register.filter
def provider_title(name: str) -> str:
    """A provider as a heading; any other than the known ones keeps its configured name."""
    return PROVIDER_TITLES.get(name, name)
