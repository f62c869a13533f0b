"""URLs of the gateway's endpoints and pages."""

from django.urls import include, path

from aiinfra.gateway.aliases_api import aliases_endpoint
from aiinfra.gateway.chat import chat_endpoint
from aiinfra.gateway.events import events_endpoint
from aiinfra.gateway.pages import aliases, batches, first_call, playground, reference
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
    path("queue/batches/", batches.batch_list, name="batches"),
    path("queue/batches/<uuid:batch_id>/cancel/", batches.batch_cancel, name="batch_cancel"),
    path("queue/batches/<uuid:batch_id>/<slug:name>/", batches.batch_file, name="batch_file"),
    path("v1/", include("aiinfra.gateway.v1.urls")),
    path("playground/", playground.playground, name="playground"),
    path("playground/requests/<uuid:request_id>/", playground.request_steps, name="request_steps"),
    path("first-call/", first_call.first_call, name="first_call"),
    path("first-call/key/", first_call.create_key, name="first_call_key"),
    path("first-call/waiting/", first_call.waiting, name="first_call_waiting"),
    path("reference/", reference.reference, name="reference"),
    path("settings/aliases/", aliases.alias_list, name="aliases"),
    path("settings/aliases/create/", aliases.create, name="alias_create"),
    path("settings/aliases/choices/", aliases.model_choices, name="model_choices"),
    path("settings/aliases/<int:alias_id>/", aliases.change, name="alias_change"),
    path("settings/aliases/<int:alias_id>/remove/", aliases.remove, name="alias_remove"),
    path("api/schema", schema, name="api_schema"),
]
