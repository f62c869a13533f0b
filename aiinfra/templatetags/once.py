"""Extends `{% csrf_token %}`: each form also carries a unique key, so that it is submitted only once, and the page's
organization, so that it changes no other organization.
"""

import secrets

from django import template
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from aiinfra.idempotent_forms import FIELD

register = template.Library()

ORGANIZATION_FIELD = "form_organization"


@register.simple_tag(takes_context=True)
def csrf_token(context: Context) -> SafeString:
    """Django's hidden field and ours, since every form that changes something already has this tag."""
    fields = {FIELD: secrets.token_urlsafe(16)}
    if organization := context.get("organization"):
        fields[ORGANIZATION_FIELD] = organization.slug
    ours = format_html_join("", '<input type="hidden" name="{}" value="{}">', fields.items())
    return format_html("{}{}", CsrfTokenNode().render(context), ours)
