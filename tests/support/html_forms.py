"""The forms of a page as a browser would submit them unchanged."""

from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

SENT_AS_TYPED = {"hidden", "text", "email", "number", "password", "search", "date", "datetime-local", "url", "time"}


@dataclass
class Form:
    """One form: its target, and its controls as (name, value) pairs, without buttons."""

    method: str
    action: str
    id: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[dict[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Reasons why a browser would not submit the form unchanged, apart from `missing`."""
    missing: list[str] = field(default_factory=list)
    """Required controls without a value, which a user has to fill in."""

    def data(self, button: dict[str, str] | None = None) -> dict[str, list[str]]:
        """The data that the button, or Enter, submits."""
        pairs = (
            [*self.fields, (button["name"], button.get("value", ""))] if button and "name" in button else self.fields
        )
        data: dict[str, list[str]] = {}
        for name, value in pairs:
            data.setdefault(name, []).append(value)
        return data

    def target(self, button: dict[str, str] | None = None) -> str:
        """The URL that the button submits the form to."""
        return (button or {}).get("formaction") or self.action


@dataclass
class Page:
    """A page at a URL, with the URLs of its links."""

    url: str
    html: str
    forms: list[Form]
    links: set[str]


def page_of(html: str, url: str) -> Page:
    """Read a page once for both its forms and its links: parsing takes a third as long as rendering."""
    parser = _Parser(url)
    parser.feed(html)
    return Page(url, html, list(parser.forms.values()), parser.links)


def forms_of(html: str, url: str) -> list[Form]:
    """The forms of a page at the URL."""
    return page_of(html, url).forms


class _Parser(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.links = url, set[str]()
        self.forms: dict[str, Form] = {}
        self.form: Form | None = None
        self.select: tuple[Form, str, list[tuple[str, bool]], bool] | None = None
        self.text: tuple[Form, str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        elif tag == "form":
            action = given.get("action") or self.url
            self.form = Form(given.get("method", "get").lower(), action, given.get("id", ""))
            self.forms[self.form.id or str(len(self.forms))] = self.form
        elif tag == "option" and self.select:
            self.select[2].append((given.get("value", ""), "selected" in given))
        elif (form := self._form_of(given)) and "disabled" not in given:
            self._control(tag, given, form)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.form = None
        elif tag == "select" and self.select:
            form, name, options, is_multiple = self.select
            chosen = [value for value, is_selected in options if is_selected]
            if not chosen and not is_multiple:
                chosen = [value for value, _ in options[:1]]
            form.fields += [(name, value) for value in chosen]
            self.select = None
        elif tag == "textarea" and self.text:
            form, name, parts = self.text
            form.fields.append((name, "".join(parts).removeprefix("\n").replace("\n", "\r\n")))
            self.text = None

    def handle_data(self, data: str) -> None:
        if self.text:
            self.text[2].append(data)

    def _form_of(self, given: dict[str, str]) -> Form | None:
        return self.forms.get(given["form"]) if "form" in given else self.form

    def _control(self, tag: str, given: dict[str, str], form: Form) -> None:
        kind = given.get("type", "submit" if tag == "button" else "text")
        if tag == "select":
            self.select = (form, given.get("name", ""), [], "multiple" in given)
        elif tag == "textarea":
            self.text = (form, given.get("name", ""), [])
        elif kind == "submit" and tag in {"button", "input"}:
            form.buttons.append(given)
        elif tag == "input":
            self._input(kind, given, form)

    def _input(self, kind: str, given: dict[str, str], form: Form) -> None:
        name, value = given.get("name", ""), given.get("value", "")
        if kind in {"checkbox", "radio"}:
            if "checked" in given:
                form.fields.append((name, given.get("value", "on")))
            return
        if "required" in given and not value:
            form.missing.append(name)
        if kind in SENT_AS_TYPED and name:
            form.fields.append((name, value))
        if kind == "number" and value:
            form.problems += _refusals(given, Decimal(value))


def _refusals(given: dict[str, str], value: Decimal) -> list[str]:
    """A browser's validation errors for a number."""
    step, least = given.get("step", "1"), Decimal(given.get("min", "0"))
    wrong = [f"{given['name']}: {value} is below {least}"] if "min" in given and value < least else []
    if "max" in given and value > Decimal(given["max"]):
        wrong.append(f"{given['name']}: {value} is above {given['max']}")
    if step != "any" and (value - least) % Decimal(step):
        wrong.append(f"{given['name']}: {value} does not fit step {step}")
    return wrong
