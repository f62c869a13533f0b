"""Generated files (20,000 with TESTS_FULL): each is read correctly or rejected with a line number."""

from random import Random

import pytest

from cost_app.finance.invoices import cells
from cost_app.finance.invoices.files import FileError, ProviderFile, read_file
from cost_app.finance.invoices.numbers import Notation, parse_number
from tests.cost_app.finance.invoice_generator import (
    FAULTS,
    KINDS,
    NUMBER_FAULTS,
    Kind,
    Truth,
    file_of,
    some_lines,
    some_style,
    table_of,
    truth_of,
)
from tests.support.examples import examples

CASES = examples(2_000, 10_000)


def found_in(file: ProviderFile) -> Truth:
    return {key: (amounts.tokens, amounts.nano) for key, amounts in file.lines.items()}


def read(kind: Kind, content: bytes) -> Truth | None:
    """The contents; None if the file was rejected."""
    try:
        return found_in(read_file(kind.provider, content))
    except FileError as error:
        assert error.line >= 1
        return None


def test_a_file_of_any_locale_is_read_correctly_or_refused() -> None:
    random, accepted = Random(7), 0
    for number in range(CASES):
        kind = KINDS[number % len(KINDS)]
        lines, style = some_lines(random, kind), some_style(random)
        content = file_of(table_of(random, kind, lines, style), style)
        found = read(kind, content)
        assert found in (None, truth_of(kind, lines)), (number, style, content)
        accepted += found is not None
    assert accepted > CASES * 0.8  # the others have ambiguous numbers


def test_faulty_file_is_rejected_and_noise_is_read_deterministically() -> None:
    random = Random(11)
    for number in range(CASES):
        kind = KINDS[number % len(KINDS)]
        lines, style = some_lines(random, kind), some_style(random)
        table = table_of(random, kind, lines, style)
        has_numbers = kind is not KINDS[2]
        random.choice(FAULTS + NUMBER_FAULTS if has_numbers else FAULTS)(random, table)
        assert read(kind, file_of(table, style)) is None, (number, table)
        noise = bytearray(file_of(table_of(random, kind, lines, style), style))
        for _ in range(random.randint(1, 4)):
            noise[random.randrange(len(noise))] = random.randrange(256)
        assert read(kind, bytes(noise)) == read(kind, bytes(noise))


def test_work_is_bounded_by_the_number_of_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    def counted(text: str) -> object:
        nonlocal steps
        steps += 1
        return parse_number(text)

    monkeypatch.setattr(cells, "parse_number", counted)
    random = Random(3)
    for kind in KINDS:
        lines, style = some_lines(random, kind) * 100, some_style(random)
        table = table_of(random, kind, lines, style)
        steps = 0
        read(kind, file_of(table, style))
        assert steps <= 6 * sum(map(len, table))


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("1234", "1234", "1234"),
        ("1.234", "1.234", "1234"),
        ("1,234", "1234", "1.234"),
        ("1,234.5", "1234.5", None),
        ("1.234,5", None, "1234.5"),
        ("1,234,567", "1234567", None),
        ("0.5", "0.5", None),
        (".5", "0.5", None),
        ("0,123", None, "0.123"),
        ("1.2345", "1.2345", None),
        ("1234,567", None, "1234.567"),
        ("1\u202f234,5", None, "1234.5"),
        ("1'234.50", "1234.50", None),
        ("(1.50)", "-1.50", None),
        ("-$1.50", "-1.50", None),
        ("$-1.50", "-1.50", None),
        ("US$1.50", "1.50", None),
        ("1.50 USD", "1.50", None),
        ("\u22121.50", "-1.50", None),
        ("1.6e-3", "0.0016", None),
        ("1,23,456.78", None, None),
        ("1,2,3", None, None),
        ("1.234.5", None, None),
        ("(-1)", None, None),
        ("--1", None, None),
        ("1)", None, None),
        ("€1.50", None, None),
        ("1.50 EUR", None, None),
        ("١٢", None, None),
        ("", None, None),
        (".", None, None),
        ("1" * 61, None, None),
        ("1,234e-2", None, "0.01234"),
    ],
)
def test_number_is_parsed_in_each_notation(text: str, point: str | None, comma: str | None) -> None:
    number = parse_number(text)
    readings = {} if number is None else {notation: str(value) for notation, (value, _) in number.readings.items()}
    expected = {Notation.POINT: point, Notation.COMMA: comma}
    assert readings == {notation: value for notation, value in expected.items() if value is not None}


DAY = "2026-10-28"
COSTS = "utc_date;model;cost;currency\n"


@pytest.mark.parametrize(
    ("rows", "line", "column", "message"),
    [
        (f"{DAY};a;1.234;USD\n", 2, "cost", "thousands or a fraction"),
        (f"{DAY};a;1,234;USD\n", 2, "cost", "thousands or a fraction"),
        (f"{DAY};a;1,5;USD\n{DAY};a;2.75;USD\n", 3, "cost", "different decimal separators"),
        ("03/04/2026;a;1;USD\n", 2, "utc_date", "YYYY-MM-DD"),
        (f"{DAY};a;1;EUR\n", 2, "currency", "only US dollars"),
        (f"{DAY};a;1;\n", 2, "currency", "the currency is missing"),
        (f"{DAY};Total;1;USD\n", 2, "model", "is a total"),
        (f"{DAY};a;1;USD;1\n", 2, "", "the row has 5 cells"),
        (f"{DAY};a;1\n", 2, "", "the row has 3 cells"),
    ],
)
def test_ambiguous_file_is_rejected(rows: str, line: int, column: str, message: str) -> None:
    with pytest.raises(FileError, match=message) as caught:
        read_file("deepseek", (COSTS + rows).encode())
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    ("provider", "header", "row", "column", "message"),
    [
        ("deepseek", "utc_date,model,cost,Cost ,currency", f"{DAY},a,1,2,USD", "cost", "two columns"),
        ("deepseek", "utc_date,model,cost,currency,type,price,amount", f"{DAY},a,1,USD,output_tokens,,1", "",
         "two layouts"),
        ("openai", "date,model,input_tokens,n_context_tokens_total,output_tokens", f"{DAY},a,1,2,3",
         "n_context_tokens_total", "contradicts"),
        ("openai", "date,start_time,model,input_tokens,output_tokens", f"{DAY},1793059200,a,1,2", "date",
         "contradicts"),
        ("openai", "date,model,input_tokens,input_cached_tokens,input_uncached_tokens,output_tokens",
         f"{DAY},a,9,1,3,2", "input_uncached_tokens", "do not add up to the prompt"),
        ("anthropic", "date,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_write,"
         "usage_input_tokens_cache_write_5m,usage_output_tokens", f"{DAY},a,1,5,5,1",
         "usage_input_tokens_cache_write", "by lifetime"),
    ],
)  # fmt: skip
def test_contradicting_columns_are_rejected(provider: str, header: str, row: str, column: str, message: str) -> None:
    with pytest.raises(FileError, match=message) as caught:
        read_file(provider, f"{header}\n{row}\n".encode())
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("cell", "nano"),
    [
        ("1.234,56", 1_234_560_000_000),
        ("0,5", 500_000_000),
        ("(2,75)", -2_750_000_000),
        ("1\u202f000,10", 1_000_100_000_000),
    ],
)
def test_file_with_decimal_commas_is_read_correctly(cell: str, nano: int) -> None:
    file = read_file("deepseek", f"{COSTS}{DAY};a;{cell};USD\n".encode("utf-16"))
    assert [amounts.nano for amounts in file.lines.values()] == [nano]
