"""The two views of every chart: the Plotly figure, and the same data as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_GET
from django.views.decorators.vary import vary_on_headers
from redis.exceptions import RedisError

from aiinfra.charts import Chart, escaped_figure
from aiinfra.pages import is_partial
from aiinfra.tenants.access import MemberRequest, ViewFunction, permission_required


@dataclass(frozen=True)
class ChartPage:
    """The chart at a URL. `draw` may raise RedisError; `back` is the URL of the page that shows the chart."""

    title: str
    draw: Callable[[], Chart]
    back: str
    back_title: str


def chart_views(permission: str, find: Callable[..., ChartPage]) -> tuple[ViewFunction, ViewFunction]:
    """(figure, table) views of the chart that `find(request, **URL parameters)` returns. `find` may raise Http404.

    If the data is in Redis and Redis is down, the figure returns 503 and the table says so.
    """

    @permission_required(permission)
    @require_GET
    @cache_control(private=True, no_cache=True)
    @conditional_page
    def figure(request: MemberRequest, **address: Any) -> HttpResponse:
        try:
            return JsonResponse(escaped_figure(find(request, **address).draw().figure))
        except RedisError:
            return JsonResponse({"error": "Redis is not responding"}, status=503)

    @permission_required(permission)
    @require_GET
    @vary_on_headers("HX-Request")
    def table(request: MemberRequest, **address: Any) -> HttpResponse:
        page = find(request, **address)
        try:
            shown = page.draw().table
        except RedisError:
            shown = None
        template = "shared/_figure_table.html" if is_partial(request) else "figure_table.html"
        return render(request, template, {"page": page, "table": shown})

    return figure, table
