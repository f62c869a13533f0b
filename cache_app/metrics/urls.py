"""URLs of the cache overview."""

from django.urls import path

from cache_app.metrics import views

urlpatterns = [
    path("", views.cache, name="cache"),
    path("figures/<slug:name>/", views.figure, name="cache_figure"),
    path("figures/<slug:name>/table/", views.figure_table, name="cache_figure_table"),
    path("proposals/<int:proposal_id>/apply/", views.proposal_apply, name="cache_proposal_apply"),
    path("proposals/<int:proposal_id>/dismiss/", views.proposal_dismiss, name="cache_proposal_dismiss"),
]
