"""URLs of the review page."""

from django.urls import path

from cache_app.review import views

urlpatterns = [
    path("", views.review, name="cache_review"),
    path("<uuid:hit_id>/", views.judgement, name="cache_judgement"),
]
