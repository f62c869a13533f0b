"""The sandbox's status page."""

from collections.abc import Sequence
from html import escape
from typing import Any

ROWS_SHOWN = 50

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sandbox provider</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; font-size: 14px; }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
</style></head><body>
<h1>This is a sandbox</h1>
<p>No model runs here and nothing costs money: this process generates the answers and speaks the dialects of
OpenAI and Anthropic. It has billed {count} calls; these are the latest.</p>
<table><thead><tr><th>Time (UTC)</th><th>Provider</th><th>Model</th><th class="n">Prompt</th><th class="n">Answer</th>
<th>Attempt</th></tr></thead><tbody>
{rows}
</tbody></table></body></html>
"""


def page(calls: Sequence[dict[str, Any]]) -> bytes:
    """The HTML page with the latest calls, newest first."""
    rows = "\n".join(_row(call) for call in reversed(calls[-ROWS_SHOWN:]))
    return _PAGE.format(count=len(calls), rows=rows).encode()


def _row(call: dict[str, Any]) -> str:
    usage = call["usage"]
    prompt = usage["input"] + usage["cacheRead"] + usage["cacheWrite"]
    words = [call["at"][:19].replace("T", " "), call["provider"], call["model"]]
    cells = [f"<td>{escape(word)}</td>" for word in words]
    cells += [f'<td class="n">{tokens}</td>' for tokens in (prompt, usage["output"])]
    return f"<tr>{''.join(cells)}<td>{escape(call['attemptId'] or '')}</td></tr>"
