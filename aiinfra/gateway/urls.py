"""URLs of the gateway API."""

from django.urls import include, path

from aiinfra.gateway.aliases_api import aliases_endpoint
from aiinfra.gateway.chat import chat_endpoint
from aiinfra.gateway.events import events_endpoint
from aiinfra.openapi import schema
from cache_app.api import cache
from cost_app.api import cost, exports
from queue_app.api import queue

urlpatterns = [
    path("api/ai/queue", queue, name="api_queue"),
    path("api/ai/chat", chat_endpoint, name="api_chat"),
    path("api/ai/aliases", aliases_endpoint, name="api_aliases"),
    path("api/ai/events", events_endpoint, name="api_events"),
    path("api/ai/cache", cache, name="api_cache"),
    path("api/ai/cost", cost, name="api_cost"),
    path("api/ai/exports", exports, name="api_exports"),
    path("v1/", include("aiinfra.gateway.v1.urls")),
    path("api/schema", schema, name="api_schema"),
]
