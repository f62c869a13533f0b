"""A setting, and the values of all settings."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiinfra.configuration.kinds import Kind

T = TypeVar("T")
SHOWN_MAX = 120


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One row of the table.

    `default` is a value, or a function that computes it from the others; `default_text` replaces the value in the
    documentation. `help` is one or two sentences in Markdown.
    """

    name: str
    kind: Kind[T]
    default: T | Callable[["Values"], T]
    help: str
    default_text: str = ""

    @property
    def row(self) -> str:
        """The setting's row in docs/settings.md."""
        default = self.default_text or _shown_default(self.default)
        return f"| `{self.name}` | {default} | {self.kind.range} | {self.help} |"

    def error(self, why: str, text: str) -> str:
        """One line with the variable, what it must be and what it is, without credentials."""
        return f"{self.name} {why}" if self.kind.is_secret else f"{self.name} {why}, not {_shown(text)}"


@dataclass
class Values:
    """Parses settings from environment variables; records errors and continues with the default."""

    environment: Mapping[str, str]
    errors: list[str] = field(default_factory=list)
    _read: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, setting: Setting[T]) -> T:
        if setting.name not in self._read:
            self._read[setting.name] = self._value(setting)
        value: T = self._read[setting.name]
        return value

    def is_set(self, setting: Setting[Any]) -> bool:
        """Whether the variable has a value other than whitespace."""
        return bool(self.text(setting))

    def text(self, setting: Setting[Any]) -> str:
        """The variable as written, without surrounding whitespace."""
        return self.environment.get(setting.name, "").strip()

    def refuse(self, setting: Setting[Any], why: str) -> None:
        """Report that this setting conflicts with others."""
        self.errors.append(setting.error(why, self.text(setting) or str(self[setting])))

    def _value(self, setting: Setting[T]) -> T:
        if text := self.text(setting):
            try:
                return setting.kind.parse(text)
            except ValueError as error:
                self.errors.append(setting.error(str(error), text))
        default = setting.default
        return default(self) if callable(default) else default


def _shown_default(default: object) -> str:
    match default:
        case bool():
            return str(default).lower()
        case int() | float():
            return f"{default:g}"
        case str() if default:
            return f"`{default}`"
    return "none"


def _shown(text: str) -> str:
    """Masks passwords in anything that may be a URL, valid or not."""
    masked = re.sub(r"(?<=//)\S*@|^[^/\s]*:\S*@", "***@", text)
    masked = re.sub(r"(?<=password=)[^&\s]*", "***", masked)
    masked = masked if len(masked) <= SHOWN_MAX else f"{masked[:SHOWN_MAX]}..."
    return masked if re.fullmatch(r"[\w.,:/+*@=?&\[\]-]+", masked, re.ASCII) else repr(masked)
