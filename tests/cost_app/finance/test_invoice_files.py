"""The layouts of the providers' exports, and the errors of unreadable files."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_app.finance.invoices import table
from cost_app.finance.invoices.files import FileError, read_file
from cost_app.finance.invoices.layouts import LAYOUTS
from cost_app.finance.invoices.model_names import known_model, normalized

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> str:
    """A file as the provider exports it, including its byte order mark."""
    return (SAMPLES / f"{name}.csv").read_bytes().decode()


OPENAI_USAGE = sample("openai_usage")
OPENAI_COSTS = sample("openai_costs")
ANTHROPIC_USAGE = sample("anthropic_usage")
ANTHROPIC_COSTS = sample("anthropic_costs")
DEEPSEEK_AMOUNTS = sample("deepseek_amounts")
DEEPSEEK_COSTS = sample("deepseek_costs")

DAY = date(2026, 10, 28)


@pytest.mark.parametrize(
    ("provider", "text", "expected"),
    [
        (
            "openai",
            OPENAI_USAGE,
            {
                ("gpt-4o-2024-08-06", "input"): (3032, None),
                ("gpt-4o-2024-08-06", "cache_read"): (1280, None),
                ("gpt-4o-2024-08-06", "output"): (1723, None),
            },
        ),
        (
            "openai",
            OPENAI_COSTS,
            {
                ("gpt-4o-2024-08-06", "input"): (None, 10_500_000),
                ("gpt-4o-2024-08-06", "cache_read"): (None, 1_600_000),
                ("web search tool calls", "other"): (None, 25_000_000),
            },
        ),
        (
            "anthropic",
            ANTHROPIC_USAGE,
            {
                ("claude-haiku-4-5-20251001", "input"): (101, None),
                ("claude-haiku-4-5-20251001", "cache_write"): (23, None),
                ("claude-haiku-4-5-20251001", "cache_read"): (4000, None),
                ("claude-haiku-4-5-20251001", "output"): (51, None),
            },
        ),
        (
            "anthropic",
            ANTHROPIC_COSTS,
            {
                ("Claude Haiku 4.5", "input"): (None, 50_000_000),
                ("Claude Haiku 4.5", "cache_write"): (None, 20_000_000),
                ("other", "other"): (None, 10_000_000),
            },
        ),
        (
            "deepseek",
            DEEPSEEK_AMOUNTS,
            {
                ("deepseek-chat", "input"): (1000, 140_000),
                ("deepseek-chat", "cache_read"): (200, 2_800),
                ("deepseek-chat", "output"): (30, 8_400),
            },
        ),
        ("deepseek", DEEPSEEK_COSTS, {("deepseek-chat", "total"): (None, 2_999_298_000)}),
    ],
)
def test_each_layout_is_supported(
    provider: str, text: str, expected: dict[tuple[str, str], tuple[int | None, int | None]]
) -> None:
    file = read_file(provider, text.encode())
    assert {(day, model, name): (each.tokens, each.nano) for (day, model, name), each in file.lines.items()} == {
        (DAY, *key): amounts for key, amounts in expected.items()
    }


@pytest.mark.parametrize(
    ("provider", "text", "line", "column", "message"),
    [
        ("openai", "a,b\n1,2\n", 1, "", "columns do not match a usage file of openai"),
        ("openai", "", 1, "", "do not match"),
        ("openai", OPENAI_USAGE.replace("4212", "many"), 2, "input_tokens", "'many' is not a number"),
        ("openai", OPENAI_USAGE.replace(",100,50,0,", ",1.5,50,0,"), 3, "input_tokens", "not a number of tokens"),
        ("openai", OPENAI_USAGE.replace(",100,50,0,", ",-1,50,0,"), 3, "input_tokens", "not a number of tokens"),
        ("openai", OPENAI_USAGE.replace("1280", "5000"), 2, "input_cached_tokens", "more tokens are cached"),
        ("openai", OPENAI_USAGE.replace(",gpt-4o-2024-08-06,,,100", ",,,,100"), 3, "model", "the export by model"),
        ("openai", OPENAI_COSTS.replace("1.6e-3,usd", "1.6e-3,eur"), 3, "amount_currency", "amounts are in 'eur'"),
        ("openai", OPENAI_COSTS.replace("0.0105", "NaN"), 2, "amount_value", "not a number"),
        ("openai", OPENAI_COSTS.replace("0.0105", "9e99"), 2, "amount_value", "not an amount"),
        ("openai", OPENAI_COSTS.replace("web search tool calls", ""), 4, "line_item", "group the export by line item"),
        ("anthropic", ANTHROPIC_COSTS.replace("2026-10-28", "28.10.2026"), 2, "usage_date_utc", "not a date"),
        ("anthropic", ANTHROPIC_COSTS.replace("2026-10-28", "1999-10-28"), 2, "usage_date_utc", "not a possible date"),
        ("deepseek", DEEPSEEK_AMOUNTS.replace("output_tokens", "rent"), 4, "type", "'rent' is an unknown type"),
        ("deepseek", DEEPSEEK_COSTS.replace("USD", "CNY"), 2, "currency", "only US dollars"),
        ("deepseek", DEEPSEEK_COSTS.splitlines()[0], 1, "", "no usage"),
        ("deepseek", DEEPSEEK_COSTS.replace("u;202610", "u;202601", 1), 1, "", "100 days"),
        ("openai", OPENAI_COSTS.replace("web search", '"web search'), 4, "", "unexpected end of data"),
        ("openai", "PK\x03\x04\0\0", 1, "", "unpack ZIP files"),
    ],
)  # fmt: skip
def test_invalid_file_is_rejected_with_line_and_column(
    provider: str, text: str, line: int, column: str, message: str
) -> None:
    with pytest.raises(FileError, match=message) as caught:
        read_file(provider, text.encode())
    assert (caught.value.line, caught.value.column) == (line, column)


def test_unsupported_encoding_is_rejected_with_its_line() -> None:
    with pytest.raises(FileError, match="UTF-8") as caught:
        read_file("openai", b"model,x\n\xff\xfe,1\n")
    assert caught.value.line == 2


def test_file_size_and_row_count_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match="10 MB"):
        read_file("openai", b"x" * (10 * 1024 * 1024 + 1))
    monkeypatch.setattr(table, "ROWS_MAX", 1)
    with pytest.raises(FileError, match="can have at most 1 rows") as caught:
        read_file("openai", OPENAI_USAGE.encode())
    assert caught.value.line == 3


def test_sum_that_overflows_the_database_is_rejected() -> None:
    row = "u,2026-10-28,deepseek-chat,a,b,output_tokens,999999999,999999999999\n"
    with pytest.raises(FileError, match="an impossible total"):
        read_file("deepseek", f"user_id,utc_date,model,api_key_name,api_key,type,price,amount\n{row * 3}".encode())


@given(st.sampled_from(sorted(LAYOUTS)), st.binary(max_size=300), st.integers(0, 5))
def test_no_file_crashes_the_reader(provider: str, noise: bytes, sample_number: int) -> None:
    texts = [OPENAI_USAGE, OPENAI_COSTS, ANTHROPIC_USAGE, ANTHROPIC_COSTS, DEEPSEEK_AMOUNTS, DEEPSEEK_COSTS]
    text = texts[sample_number].encode()
    for content in (noise, text[: len(text) // 2] + noise + text[len(text) // 2 :]):
        try:
            read_file(provider, content)
        except FileError as error:
            assert error.line >= 1


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o", "gpt-4o"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("Claude Haiku 4.5", "claude-haiku-4-5"),
        ("chatgpt-4o-latest", "chatgpt-4o"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("gpt-3.5-turbo-1632", "gpt-3.5-turbo-1632"),
    ],
)
def test_dated_and_display_names_are_normalized(name: str, plain: str) -> None:
    assert normalized(name) == plain


def test_model_name_is_mapped_only_if_certain() -> None:
    assert known_model("gpt-4o-2024-08-06", ["gpt-4o", "gpt-4o-2024-08-06"]) == "gpt-4o-2024-08-06"
    assert known_model("gpt-4o-2024-05-13", ["gpt-4o", "gpt-4"]) == "gpt-4o"
    assert known_model("gpt-4o", ["gpt-4o-2024-08-06"]) == "gpt-4o-2024-08-06"
    assert known_model("gpt-4o", ["gpt-4o-2024-08-06", "gpt-4o-2024-05-13"]) == "gpt-4o"
    assert known_model("unheard-of", ["gpt-4o"]) == "unheard-of"


@pytest.mark.parametrize(
    "name", ["Total", "TOTAL:", "Total cost (USD)", "Grand total", "Sub-total", "Summe", "Gesamtbetrag", "Somme"]
)
def test_total_row_is_rejected_in_every_layout(name: str) -> None:
    rows = {
        "openai": f'start_time,line_item,amount_value,amount_currency\n2026-10-28,"{name}",1.5,usd\n',
        "anthropic": f"usage_date_utc,model,token_type,cost_usd\n2026-10-28,,{name},1.5\n",
        "deepseek": f"utc_date,model,cost,currency\n2026-10-28,{name},1.5,USD\n",
    }
    for provider, text in rows.items():
        with pytest.raises(FileError, match=r"Line 2.*is a total"):
            read_file(provider, text.encode())


@pytest.mark.parametrize("name", ["sum-1", "total.recall", "summer-7b", "totally", "sum/one"])
def test_model_name_that_resembles_a_total_is_accepted(name: str) -> None:
    text = f"utc_date,model,cost,currency\n2026-10-28,{name},1.5,USD\n"
    assert [model for _, model, _ in read_file("deepseek", text.encode()).lines] == [name]
