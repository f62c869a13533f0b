"""URLs of the `/v1` endpoints."""

from django.urls import path

from aiinfra.gateway.v1.anthropic_messages import count_tokens_endpoint, messages_endpoint
from aiinfra.gateway.v1.batches import batch_cancel_endpoint, batch_endpoint, batches_endpoint
from aiinfra.gateway.v1.files import file_content_endpoint, file_endpoint, files_endpoint
from aiinfra.gateway.v1.models import model_endpoint, models_endpoint
from aiinfra.gateway.v1.openai_chat import chat_completions_endpoint
from aiinfra.gateway.v1.openai_embeddings import embeddings_endpoint
from aiinfra.gateway.v1.openai_responses import responses_endpoint

urlpatterns = [
    path("batches", batches_endpoint, name="v1_batches"),
    path("batches/<str:batch_id>", batch_endpoint, name="v1_batch"),
    path("batches/<str:batch_id>/cancel", batch_cancel_endpoint, name="v1_batch_cancel"),
    path("chat/completions", chat_completions_endpoint, name="v1_chat_completions"),
    path("embeddings", embeddings_endpoint, name="v1_embeddings"),
    path("files", files_endpoint, name="v1_files"),
    path("files/<str:file_id>", file_endpoint, name="v1_file"),
    path("files/<str:file_id>/content", file_content_endpoint, name="v1_file_content"),
    path("messages", messages_endpoint, name="v1_messages"),
    path("messages/count_tokens", count_tokens_endpoint, name="v1_count_tokens"),
    path("models", models_endpoint, name="v1_models"),
    path("models/<path:model>", model_endpoint, name="v1_model"),
    path("responses", responses_endpoint, name="v1_responses"),
]
