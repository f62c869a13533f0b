"""Every setting, in the order and sections of docs/settings.md."""

from typing import Any

from aiinfra.configuration.setting import Setting
from aiinfra.configuration.table import (
    batches,
    cache,
    exports,
    limits,
    messages,
    places,
    providers,
    queue,
    security,
    testing,
    tracing,
    web,
)

SECTIONS = {
    "Addresses and data": places,
    "Security": security,
    "Providers": providers,
    "Queue and workers": queue,
    "Semantic cache": cache,
    "Web server and logs": web,
    "Traces": tracing,
    "Files and batches": batches,
    "Rate limits": limits,
    "Email and notifications": messages,
    "Scheduled exports": exports,
    "Tests": testing,
}


def settings_of(section: object) -> list[Setting[Any]]:
    """The settings of one module of the table, in order."""
    return [value for value in vars(section).values() if isinstance(value, Setting)]


SETTINGS = {setting.name: setting for section in SECTIONS.values() for setting in settings_of(section)}
