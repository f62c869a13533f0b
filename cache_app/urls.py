"""URLs of the cache pages; each package has its own."""

from django.urls import include, path

urlpatterns = [
    path("", include("cache_app.metrics.urls")),
    path("entries/", include("cache_app.entries.urls")),
    path("review/", include("cache_app.review.urls")),
    path("settings/", include("cache_app.settings.urls")),
]
