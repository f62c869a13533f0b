"""Reads the environment. Reports all errors at once, and writes nothing until all settings are valid."""

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
"""Exit status for a configuration error (`EX_CONFIG` in sysexits.h)."""


class WrongSettingsError(Exception):
    """One line per invalid setting."""


def read(environment: Mapping[str, str]) -> Values:
    """All settings, validated. Raises WrongSettingsError."""
    values = Values(environment)
    for setting in (*SETTINGS.values(), *providers.compatible_keys(values).values()):
        values[setting]
    if not values.errors:
        check_together(values)
    if values.errors:
        raise WrongSettingsError("\n".join(values.errors))
    return values


def read_or_exit(dotenv: Path) -> Values:
    """The settings from the environment and a `.env` file; on errors, prints one line for each and exits.

    Exits rather than raises, so that no one can catch it: every command, the web server and the tests import the
    settings first, and none of them may start with an invalid one.
    """
    try:
        load_dotenv(dotenv)
        return read(os.environ)
    except (WrongSettingsError, UnreadableLineError, OSError) as error:
        where = "" if isinstance(error, WrongSettingsError) else f"{dotenv}: "
        sys.stderr.write(f"{where}{error}\n")
        raise SystemExit(EX_CONFIG) from None


def secret_or_exit(values: Values, setting: Setting[str]) -> str:
    """The secret from the environment, or from the data directory, where it is created on first use."""
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
