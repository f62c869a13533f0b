"""Names in chart figures are escaped before they are sent to the browser."""

from collections.abc import Callable

import pytest
from django.test import Client

from aiinfra.charts import escaped_figure
from aiinfra.tenants.models import Organization, User
from tests.cost_app.spend.conftest import add_usage  # noqa: F401 - a fixture
from tests.support.dates import current_day

LINK = '<a href="https://evil.example/">R&D</a>'
SHOWN = '&lt;a href="https://evil.example/"&gt;R&amp;D&lt;/a&gt;'


@pytest.mark.parametrize(
    ("figure", "escaped"),
    [
        ({"name": LINK}, {"name": SHOWN}),
        ({"y": [LINK, 1, None]}, {"y": [SHOWN, 1, None]}),
        ({"customdata": [[LINK, "/costs/?a=1&b=2"]]}, {"customdata": [[SHOWN, "/costs/?a=1&b=2"]]}),
        ({"customdata": [LINK, 3]}, {"customdata": [SHOWN, 3]}),
        ({"customdata": LINK}, {"customdata": SHOWN}),
        ({"annotations": [{"text": LINK}]}, {"annotations": [{"text": SHOWN}]}),
        ({"hovertemplate": "%{x:,d}<br>%{customdata}"}, {"hovertemplate": "%{x:,d}<br>%{customdata}"}),
        ({"title": {"text": "&amp;"}}, {"title": {"text": "&amp;amp;"}}),
    ],
)
def test_text_is_escaped_except_templates_and_urls(figure: dict[str, object], escaped: dict[str, object]) -> None:
    assert escaped_figure(figure) == escaped


def test_html_in_a_client_s_tag_is_escaped_in_the_figure(
    organization: Organization,
    finance: User,
    client_of: Callable[[User], Client],
    add_usage: Callable[..., None],  # noqa: F811
) -> None:
    today = current_day()
    add_usage(today, 5_000_000_000)
    add_usage(today, 5_000_000_000, "tag", LINK)
    figure = client_of(finance).get("/costs/figures/spend/?range=7d&by=tag").json()
    assert figure["data"][0]["name"] == SHOWN
