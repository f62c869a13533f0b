"""`{% csrf_token %}` also gives each rendered form a key of its own, under which it is sent once."""

import secrets

from django import template
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html
from django.utils.safestring import SafeString

from aiinfra.once_forms import FIELD

register = template.Library()


@register.simple_tag(takes_context=True)
def csrf_token(context: Context) -> SafeString:
    """Django's hidden field, and that of the form's key: all forms that change something have it already."""
    protection = CsrfTokenNode().render(context)
    return format_html('{}<input type="hidden" name="{}" value="{}">', protection, FIELD, secrets.token_urlsafe(16))
