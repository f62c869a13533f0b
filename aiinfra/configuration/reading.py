"""Reading the environment: all settings at once, all errors at once, and nothing written before they are right."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from aiinfra.configuration.dotenv import UnreadableLineError, load_dotenv
from aiinfra.configuration.rules import check_together
from aiinfra.configuration.secret_files import secret
from aiinfra.configuration.setting import Setting, Values
from aiinfra.configuration.table import SETTINGS, places, providers

EX_CONFIG = 78
"""The exit status for "something is wrong with the configuration" (sysexits.h)."""


class WrongSettingsError(Exception):
    """One line for each setting that is wrong."""


def read(environment: Mapping[str, str]) -> Values:
    """Every setting, checked. Raises WrongSettingsError."""
    values = Values(environment)
    for setting in (*SETTINGS.values(), *providers.compatible_keys(values).values()):
        values[setting]
    if not values.errors:
        check_together(values)
    if values.errors:
        raise WrongSettingsError("\n".join(values.errors))
    return values


def read_or_exit(dotenv: Path) -> Values:
    """The settings of this process and of a `.env` file, or the end of the process with one line for each error.

    Not an exception that somebody could catch: every command, the web server and the tests import the settings first,
    and none of them may start with a wrong one.
    """
    try:
        load_dotenv(dotenv)
        return read(os.environ)
    except (WrongSettingsError, UnreadableLineError, OSError) as error:
        where = "" if isinstance(error, WrongSettingsError) else f"{dotenv}: "
        sys.stderr.write(f"{where}{error}\n")
        raise SystemExit(EX_CONFIG) from None


def secret_or_exit(values: Values, setting: Setting[str]) -> str:
    """The secret from the environment, or else the one in the data directory, which is created on first use."""
    return values[setting] or stored_secret_or_exit(values, setting.name)


def stored_secret_or_exit(values: Values, name: str) -> str:
    """The secret in the data directory, in a file with the lower-case name. It is created on first use."""
    directory = values[places.AIINFRA_DATA_DIR]
    try:
        return secret(directory / name.lower())
    except OSError as error:
        why = f"{directory} cannot hold {name}: {error.strerror}"
        sys.stderr.write(f"AIINFRA_DATA_DIR must be a directory that can be read and written: {why}\n")
        raise SystemExit(EX_CONFIG) from None
