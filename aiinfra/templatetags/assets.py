"""URLs of files from installed packages."""

from django import template

from aiinfra.assets import plotly_url

register = template.Library()


@register.simple_tag
def plotly_script_url() -> str:
    """The URL of plotly.js."""
    return plotly_url()
