"""URLs of the doors for existing clients."""

from django.urls import path

from aiinfra.gateway.v1.anthropic_messages import count_tokens_endpoint, messages_endpoint
from aiinfra.gateway.v1.models import model_endpoint, models_endpoint
from aiinfra.gateway.v1.openai_chat import chat_completions_endpoint
from aiinfra.gateway.v1.openai_embeddings import embeddings_endpoint
from aiinfra.gateway.v1.openai_responses import responses_endpoint

urlpatterns = [
    path("chat/completions", chat_completions_endpoint, name="v1_chat_completions"),
    path("embeddings", embeddings_endpoint, name="v1_embeddings"),
    path("messages", messages_endpoint, name="v1_messages"),
    path("messages/count_tokens", count_tokens_endpoint, name="v1_count_tokens"),
    path("models", models_endpoint, name="v1_models"),
    path("models/<path:model>", model_endpoint, name="v1_model"),
    path("responses", responses_endpoint, name="v1_responses"),
]
