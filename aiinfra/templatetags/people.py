"""Names of people and API keys on every page. Built into the templates: no `{% load %}` needed."""

from django import template

from aiinfra.tenants import actors

register = template.Library()


@register.filter
def actor_name(actor: str) -> str:
    """The name of whoever did something; empty if no one is known."""
    return actors.actor_name(actor) if actor else ""
