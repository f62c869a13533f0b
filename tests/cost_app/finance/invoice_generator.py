"""Generated usage files: known contents in random locales, encodings, and column orders, some with a fault."""

import codecs
import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random

Key = tuple[date, str, str]
Truth = dict[Key, tuple[int | None, int | None]]
"""(tokens, nano-dollars) by day, model, and class; None for what the layout does not contain."""

FIRST = date(2026, 3, 1)
MODELS = ["gpt-4o-2024-08-06", "Claude Haiku 4.5", 'modèle, "fin"', "a;b", "x"]
CLASSES = ["input", "cache_read", "output"]
DEEPSEEK = {"input": "input_cache_miss_tokens", "cache_read": "input_cache_hit_tokens", "output": "output_tokens"}
ANTHROPIC = {"input": "input_no_cache", "cache_read": "input_cache_read", "output": "output"}
OPENAI = {"input": "input", "cache_read": "cached input", "output": "output"}


@dataclass(frozen=True)
class Line:
    """The contents of a row; `price` is in dollars per token."""

    day: date
    model: str
    token_class: str
    tokens: int
    dollars: Decimal
    price: Decimal = Decimal()


@dataclass(frozen=True)
class Style:
    """The format of a file. `group` is "" for numbers without thousands separators."""

    point: str = "."
    group: str = ""
    delimiter: str = ","
    encoding: str = "utf-8"
    newline: str = "\n"
    day: str = "%Y-%m-%d"
    parentheses: bool = False
    quoting: int = csv.QUOTE_MINIMAL

    def count(self, number: int) -> str:
        """A number of tokens."""
        return f"{number:,}".replace(",", self.group)

    def amount(self, number: Decimal) -> str:
        """An amount in dollars."""
        whole, _, fraction = f"{abs(number):,f}".partition(".")
        text = whole.replace(",", self.group) + (f"{self.point}{fraction}" if fraction else "")
        if number >= 0:
            return text
        return f"({text})" if self.parentheses else f"-{text}"


Row = dict[str, str]
Writer = Callable[[Line, Style], Row]


def _openai_usage(line: Line, style: Style) -> Row:
    counts = {"input": (line.tokens, 0, 0), "cache_read": (line.tokens, line.tokens, 0), "output": (0, 0, line.tokens)}
    prompt, cached, output = map(style.count, counts[line.token_class])
    return {"model": line.model, "input_tokens": prompt, "input_cached_tokens": cached, "output_tokens": output}


def _openai_costs(line: Line, style: Style) -> Row:
    item = f"{line.model}, {OPENAI[line.token_class]}"
    return {"line_item": item, "amount_value": style.amount(line.dollars), "amount_currency": "usd"}


def _anthropic_usage(line: Line, style: Style) -> Row:
    names = {"input": "no_cache", "cache_read": "cache_read"}
    row = {"model_version": line.model, "usage_input_tokens_no_cache": "", "usage_output_tokens": ""}
    column = f"usage_input_tokens_{names[line.token_class]}" if line.token_class in names else "usage_output_tokens"
    return {**row, "usage_input_tokens_cache_read": "", column: style.count(line.tokens)}


def _anthropic_costs(line: Line, style: Style) -> Row:
    return {"model": line.model, "token_type": ANTHROPIC[line.token_class], "cost_usd": style.amount(line.dollars)}


def _deepseek_amounts(line: Line, style: Style) -> Row:
    kind = DEEPSEEK[line.token_class]
    return {"model": line.model, "type": kind, "price": style.amount(line.price), "amount": style.count(line.tokens)}


def _deepseek_costs(line: Line, style: Style) -> Row:
    return {"model": line.model, "cost": style.amount(line.dollars), "currency": "USD"}


@dataclass(frozen=True)
class Kind:
    """A layout of a provider, and what it contains."""

    provider: str
    day_column: str
    write: Writer
    tokens: bool
    money: bool
    has_classes: bool = True


KINDS = [
    Kind("openai", "start_time_iso", _openai_usage, True, False),
    Kind("openai", "start_time_iso", _openai_costs, False, True),
    Kind("anthropic", "usage_date_utc", _anthropic_usage, True, False),
    Kind("anthropic", "usage_date_utc", _anthropic_costs, False, True),
    Kind("deepseek", "utc_date", _deepseek_amounts, True, True),
    Kind("deepseek", "utc_date", _deepseek_costs, False, True, has_classes=False),
]


def truth_of(kind: Kind, lines: Iterable[Line]) -> Truth:
    """The expected result: sums, with amounts rounded once."""
    tokens: dict[Key, int] = {}
    dollars: dict[Key, Decimal] = {}
    for line in lines:
        key = (line.day, line.model, line.token_class if kind.has_classes else "total")
        tokens[key] = tokens.get(key, 0) + line.tokens
        dollars[key] = dollars.get(key, Decimal()) + line.dollars
    nano = {key: int(amount.scaleb(9).to_integral_value(ROUND_HALF_EVEN)) for key, amount in dollars.items()}
    return {key: (tokens[key] if kind.tokens else None, nano[key] if kind.money else None) for key in tokens}


def some_lines(random: Random, kind: Kind) -> list[Line]:
    """One to five rows."""
    made = []
    for _ in range(random.randint(1, 5)):
        tokens = random.choice([1, 7, 1_000, 1_234, random.randint(1, 5_000_000)])
        dollars = Decimal(random.randint(1, 10**7)).scaleb(-random.choice([0, 1, 2, 3, 4, 6, 9]))
        price = Decimal(random.randint(1, 9_999)).scaleb(-9)
        if kind.tokens and kind.money:
            dollars = price * tokens
        elif random.random() < 0.2:
            dollars = -dollars
        day = FIRST + timedelta(days=random.randint(0, 60))
        made.append(Line(day, random.choice(MODELS), random.choice(CLASSES), tokens, dollars, price))
    return made


def some_style(random: Random) -> Style:
    """The format of a program, or of a spreadsheet in any locale."""
    if random.random() < 0.3:
        return Style(encoding=random.choice(["utf-8", "utf-8-sig"]), newline=random.choice(["\n", "\r\n"]))
    point = random.choice(".,")
    return Style(
        point,
        random.choice(["", "," if point == "." else ".", "\u202f", "'"]),
        random.choice(",;\t"),
        random.choice(["utf-8", "utf-8-sig", "utf-16"]),
        random.choice(["\n", "\r\n"]),
        random.choice(["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y-%m-%dT00:00:00+00:00", "%Y-%m-%d 00:00:00Z"]),
        random.random() < 0.5,
        random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    )


def table_of(random: Random, kind: Kind, lines: Iterable[Line], style: Style) -> list[list[str]]:
    """Header and rows, with shuffled columns and an unknown one."""
    rows = [{kind.day_column: f"{line.day:{style.day}}", "note": "n/a", **kind.write(line, style)} for line in lines]
    names = list(rows[0])
    random.shuffle(names)
    return [names, *([row[name] for name in names] for row in rows)]


def file_of(table: Iterable[Iterable[str]], style: Style) -> bytes:
    """The encoded file."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=style.delimiter, lineterminator=style.newline, quoting=style.quoting).writerows(table)
    if style.encoding == "utf-16":
        return codecs.BOM_UTF16_LE + text.getvalue().encode("utf-16-le")
    return text.getvalue().encode(style.encoding)


# Faults: each makes a file that must be rejected


Fault = Callable[[Random, list[list[str]]], None]


def _set(column: Callable[[str], bool], value: Callable[[Random, str], str]) -> Fault:
    def fault(random: Random, table: list[list[str]]) -> None:
        places = [at for at, name in enumerate(table[0]) if column(name)]
        row, at = random.randrange(1, len(table)), random.choice(places)
        table[row][at] = value(random, table[row][at])

    return fault


def _second_column(random: Random, table: list[list[str]]) -> None:
    at = random.randrange(len(table[0]))
    table[0].append(random.choice([str.upper, str.title, str])(table[0][at]) + random.choice(["", " "]))
    for row in table[1:]:
        row.append("1")


def _short_row(random: Random, table: list[list[str]]) -> None:
    table[random.randrange(1, len(table))].pop()


def _long_row(random: Random, table: list[list[str]]) -> None:
    table[random.randrange(1, len(table))].append("1")


def _is_day(name: str) -> bool:
    return name in {"start_time_iso", "usage_date_utc", "utc_date"}


def _is_number(name: str) -> bool:
    return name in {"input_tokens", "output_tokens", "amount_value", "cost_usd", "price", "amount", "cost"}


def _is_model(name: str) -> bool:
    return name in {"model", "model_version", "line_item"}


BAD_DAYS = ["03/04/2026", "28.10.2026", "Mar 3, 2026", "2026-13-01", "1772323200000", ""]
BAD_NUMBERS = ["x", "NaN", "--1", "1.2.3,4", "(1", "1%", "1E+9", "€{}", "{} EUR"]
FAULTS: list[Fault] = [
    _second_column,
    _short_row,
    _long_row,
    _set(_is_day, lambda random, _: random.choice(BAD_DAYS)),
    _set(_is_model, lambda random, _: random.choice(["Total", "SUM", "Gesamt:", ""])),
]
NUMBER_FAULTS: list[Fault] = [_set(_is_number, lambda random, text: random.choice(BAD_NUMBERS).format(text))]
