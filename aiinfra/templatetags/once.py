"""`{% csrf_token %}` also adds a unique key to each rendered form, so that it is submitted only once."""

import secrets

from django import template
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html
from django.utils.safestring import SafeString

from aiinfra.idempotent_forms import FIELD

register = template.Library()


@register.simple_tag(takes_context=True)
def csrf_token(context: Context) -> SafeString:
    """Django's hidden field and the form's key, since every form that changes something already has this tag."""
    protection = CsrfTokenNode().render(context)
    return format_html('{}<input type="hidden" name="{}" value="{}">', protection, FIELD, secrets.token_urlsafe(16))
