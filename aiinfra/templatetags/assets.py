"""Addresses of what is served from installed packages."""

from django import template

from aiinfra.assets import plotly_url

register = template.Library()


@register.simple_tag
def plotly_script_url() -> str:
    """Where plotly.js is."""
    return plotly_url()
