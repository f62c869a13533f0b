"""URLs of the queue pages."""

from django.urls import path

from queue_app.pages import views
from queue_app.pages.download import request_content

urlpatterns = [
    path("queue/", views.live, name="queue_live"),
    path("queue/figures/<slug:name>/", views.figure, name="queue_figure"),
    path("queue/figures/<slug:name>/table/", views.figure_table, name="queue_figure_table"),
    path("queue/lanes/pause/", views.pause_lane, name="queue_pause"),
    path("queue/lanes/resume/", views.resume_lane, name="queue_resume"),
    path("queue/requests/", views.request_list, name="queue_requests"),
    path("queue/requests/changes/", views.request_changes, name="queue_request_changes"),
    path("queue/requests/export/", views.export_requests, name="queue_request_export"),
    path("queue/requests/cancel/", views.cancel_requests, name="queue_cancel_many"),
    path("queue/requests/retry/", views.retry_requests, name="queue_retry_many"),
    path("queue/requests/<uuid:request_id>/", views.request_detail, name="queue_request"),
    path("queue/requests/<uuid:request_id>/content/", request_content, name="queue_request_content"),
    path("queue/requests/<uuid:request_id>/cancel/", views.cancel_request, name="queue_cancel"),
    path("queue/requests/<uuid:request_id>/retry/", views.retry_request, name="queue_retry"),
]
