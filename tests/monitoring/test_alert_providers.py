"""Alerts about unavailable providers."""

from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from aiinfra.providers import breaker
from aiinfra.redis import redis_client
from tests.monitoring.watch import Waiting, Watch, alerts, channel, only_alert, sent_messages

pytestmark = pytest.mark.usefixtures("healthy")


def trip(*models: str) -> None:
    for model in models:
        for _ in range(5):
            breaker.record_failure("deepseek", model)


def test_provider_alert_names_models_and_waiting_requests(watched: Watch, waiting: Waiting) -> None:
    channel(None)
    trip("deepseek-chat", "deepseek-reasoner")
    waiting(5, provider="deepseek", model="deepseek-chat", not_before=watched.now + timedelta(minutes=1))
    waiting(5)
    watched.check(2)
    alert = only_alert(None, "provider_down")
    assert alert.message == (
        "deepseek is down: calls to deepseek-chat, deepseek-reasoner failed repeatedly and are on hold. "
        "1 request is waiting for deepseek."
    )
    assert alert.explanation["models"] == ["deepseek-chat", "deepseek-reasoner"]
    assert ("alert.opened", "provider_down") in sent_messages(None)
    for model in ("deepseek-chat", "deepseek-reasoner"):
        redis_client().delete("aiinfra:breaker:states")
        breaker.record_success("deepseek", model)
    watched.check(2)
    assert ("provider_down", "resolved") in alerts(None)


def test_provider_alert_stays_open_until_a_call_succeeds_or_calls_stop(watched: Watch, settings: Settings) -> None:
    trip("deepseek-chat")
    watched.check(2)
    settings.BREAKER_OPEN_S = 0
    watched.check(5)
    assert ("provider_down", "open") in alerts(None)
    watched.now += timedelta(minutes=5)
    watched.check(3)
    assert ("provider_down", "resolved") in alerts(None)


def test_provider_alert_stays_open_without_redis(watched: Watch, settings: Settings, redis_url: str) -> None:
    trip("deepseek-chat")
    watched.check(2)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    watched.check(4)
    assert ("provider_down", "open") in alerts(None)
