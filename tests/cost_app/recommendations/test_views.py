"""The pages of recommendations."""

from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.models import CostPolicy, OptimizationRule, Recommendation, RecommendationKind, RecommendationState
from tests.cost_app.recommendations.support import make_applied, make_recommendation

ClientOf = Callable[[User], Client]
CHANGES = ["recommendation_apply", "recommendation_dismiss", "recommendation_undo"]


@pytest.fixture
def browser(client_of: ClientOf, finance: User) -> Client:
    return client_of(finance)


@pytest.fixture
def recommendation(organization: Organization) -> Recommendation:
    return make_recommendation(organization)


def text_of(response: HttpResponse) -> str:
    return " ".join(response.content.decode().split())


def state_of(recommendation: Recommendation) -> str:
    with organization_scope(recommendation.organization_id):
        return Recommendation.objects.get(pk=recommendation.pk).state


def test_list_shows_open_recommendations_by_largest_saving(browser: Client, organization: Organization) -> None:
    for nano in (5, 9, 7):
        make_recommendation(organization, title=f"Saves {nano}", monthly_nano=nano * 10**9)
    make_recommendation(organization, title="Dismissed", state=RecommendationState.DISMISSED)

    page = text_of(browser.get(reverse("recommendations")))

    assert page.index("Saves 9") < page.index("Saves 7") < page.index("Saves 5")
    assert "$9.00" in page
    assert "Dismissed</a></nav>" not in page
    assert 'badge badge-good">high' in page


@pytest.mark.parametrize("state", ["applied", "dismissed", "expired", "nonsense"])
def test_other_and_invalid_states_have_an_empty_state(browser: Client, state: str) -> None:
    page = text_of(browser.get(reverse("recommendations"), {"state": state}))

    assert ("No recommendations yet" if state == "nonsense" else "No matching recommendations") in page


def test_applied_tab_shows_estimate_and_result(browser: Client, organization: Organization) -> None:
    make_applied(organization)

    page = text_of(browser.get(reverse("recommendations"), {"state": "applied"}))

    assert "too early" in page


def test_htmx_gets_only_the_list(browser: Client, recommendation: Recommendation) -> None:
    response = browser.get(reverse("recommendations"), headers={"HX-Request": "true"})

    assert response.content.decode().strip().startswith('<div id="recommendations">')
    assert recommendation.title in response.content.decode()


def test_list_runs_the_same_number_of_queries_with_more_rows(
    browser: Client, organization: Organization, django_assert_num_queries: Callable[..., object]
) -> None:
    def make(count: int) -> None:
        for _ in range(count):
            make_applied(organization)

    def load() -> HttpResponse:
        return browser.get(reverse("recommendations"), {"state": "applied"})

    make(1)
    load()
    with django_assert_num_queries(7):  # type: ignore[attr-defined]
        load()
    make(9)
    with django_assert_num_queries(7):  # type: ignore[attr-defined]
        assert load().content.count(b"too early") == 10


def test_page_shows_evidence_formula_steps_and_consequence(browser: Client, recommendation: Recommendation) -> None:
    page = text_of(browser.get(reverse("recommendation", args=[recommendation.pk])))

    assert "400 calls in 30 days" in page
    assert "$8.00" in page
    assert "less what they would have cost" in page
    assert "Compare a few answers." in page
    assert "Sends every simple request to openai/gpt-4 to deepseek/deepseek-chat" in page


@pytest.mark.parametrize(
    ("kind", "terms", "words"),
    [
        ("off_peak", {"model": "deepseek/x"}, "until its cheaper hours"),
        (
            "trim_max_tokens",
            {"model": "openai/gpt-4", "maxTokens": 1_024},
            "to 1,024 tokens, even if a client allows more",
        ),
        ("retry_waste", {"maxRetries": 1, "savedPerRequest": 5}, "Limits retries to 1 per request"),
        ("batch", {}, "you take the steps"),
    ],
)
def test_every_kind_explains_the_effect_of_applying_it(
    browser: Client, organization: Organization, kind: str, terms: dict[str, object], words: str
) -> None:
    recommendation = make_recommendation(organization, kind=RecommendationKind(kind), rule_terms=terms)

    assert words in text_of(browser.get(reverse("recommendation", args=[recommendation.pk])))


@pytest.mark.parametrize(
    ("kind", "subject", "place"),
    [
        ("cache_repeats", "all", "/cache/settings/"),
        ("cache_tuning", "ttl", "/cache/settings/"),
        ("idle_budget", "3", "/budgets/3/"),
        ("prompt_caching", "openai/gpt-4", "/queue/requests/?provider=openai&amp;model=gpt-4"),
        ("batch", "openai/gpt-4", "/queue/requests/?provider=openai&amp;model=gpt-4"),
    ],
)
def test_manual_recommendation_is_marked_as_done_and_links_to_its_page(
    browser: Client, organization: Organization, kind: str, subject: str, place: str
) -> None:
    recommendation = make_recommendation(organization, kind=RecommendationKind(kind), subject=subject, rule_terms={})
    page = browser.get(reverse("recommendation", args=[recommendation.pk])).text
    assert "Mark as done" in page
    assert ">Apply<" not in page
    assert f'href="{place}"' in page
    done = browser.post(reverse("recommendation_apply", args=[recommendation.pk]), follow=True).text
    assert "Recommendation marked as done." in done
    assert ">done</span>" in done


def test_rule_recommendation_can_be_applied(browser: Client, recommendation: Recommendation) -> None:
    page = browser.get(reverse("recommendation", args=[recommendation.pk])).text
    assert ">Apply<" in page
    assert "Mark as done" not in page


def test_recommendation_can_be_applied_and_undone(browser: Client, recommendation: Recommendation) -> None:
    address = reverse("recommendation", args=[recommendation.pk])

    applied = browser.post(reverse("recommendation_apply", args=[recommendation.pk]), follow=True)

    assert applied.redirect_chain == [(address, 302)]
    assert "Recommendation applied." in text_of(applied)
    assert "Estimated and actual savings" in text_of(applied)
    with organization_scope(recommendation.organization_id):
        assert OptimizationRule.objects.get().by == "user:finance"

    undone = browser.post(reverse("recommendation_undo", args=[recommendation.pk]), follow=True)

    assert "reopened" in text_of(undone)
    assert state_of(recommendation) == "open"


def test_dismissing_requires_a_reason(browser: Client, recommendation: Recommendation) -> None:
    address = reverse("recommendation_dismiss", args=[recommendation.pk])

    refused = browser.post(address, {"reason": " "})

    assert refused.status_code == 422
    assert "data-open" in refused.content.decode()
    assert state_of(recommendation) == "open"

    assert "quality matters" in text_of(browser.post(address, {"reason": "quality matters"}, follow=True))
    assert state_of(recommendation) == "dismissed"


def test_an_already_decided_recommendation_says_so(browser: Client, organization: Organization) -> None:
    applied = make_applied(organization)

    page = text_of(browser.post(reverse("recommendation_apply", args=[applied.pk]), follow=True))

    assert "This recommendation is already applied." in page


@pytest.mark.parametrize("name", CHANGES)
def test_viewers_cannot_change_recommendations(
    client_of: ClientOf, viewer: User, recommendation: Recommendation, name: str
) -> None:
    browser = client_of(viewer)

    assert browser.post(reverse(name, args=[recommendation.pk]), {"reason": "x"}).status_code == 403
    page = text_of(browser.get(reverse("recommendation", args=[recommendation.pk])))
    assert 'data-dialog="#apply"' not in page


@pytest.mark.parametrize("name", ["recommendation", *CHANGES])
def test_other_organizations_get_404(
    client_of: ClientOf, stranger: User, recommendation: Recommendation, name: str
) -> None:
    browser, address = client_of(stranger), reverse(name, args=[recommendation.pk])

    response = browser.get(address) if name == "recommendation" else browser.post(address, {"reason": "x"})

    assert response.status_code == 404
    assert state_of(recommendation) == "open"


@pytest.mark.parametrize("name", CHANGES)
def test_changes_require_post(browser: Client, recommendation: Recommendation, name: str) -> None:
    assert browser.get(reverse(name, args=[recommendation.pk])).status_code == 405


@pytest.mark.parametrize("number", [0, 4711, 10**30])
def test_unknown_id_returns_404(browser: Client, number: int) -> None:
    assert browser.get(reverse("recommendation", args=[number])).status_code == 404


def test_recommended_provider_is_shown_with_known_and_assumed_inputs(browser: Client, redis_url: str) -> None:
    page = text_of(browser.get(reverse("recommendation_provider"), {"request_type": "simple", "priority": "low"}))

    assert "deepseek/deepseek-chat is the best of" in page
    assert "assumed</span> Tokens: 500 in and 300 out" in page


def test_htmx_gets_only_the_recommended_provider(browser: Client, redis_url: str) -> None:
    response = browser.get(
        reverse("recommendation_provider"), {"request_type": "complex"}, headers={"HX-Request": "true"}
    )

    assert response.content.decode().strip().startswith('<div class="stack" id="choice"')


def test_a_missing_allowed_model_is_explained(browser: Client, organization: Organization, redis_url: str) -> None:
    with organization_scope(organization.pk):
        CostPolicy.objects.create(organization=organization, allowed_models=[{"provider": "nobody", "model": "x"}])

    page = text_of(browser.get(reverse("recommendation_provider"), {"request_type": "simple"}))

    assert "No model found" in page


def test_unknown_request_type_returns_422(browser: Client) -> None:
    assert browser.get(reverse("recommendation_provider"), {"request_type": "odd"}).status_code == 422
    assert browser.get(reverse("recommendation_provider")).status_code == 422
