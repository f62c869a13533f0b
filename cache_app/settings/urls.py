"""URLs of the cache settings."""

from django.urls import path

from cache_app.settings import views

urlpatterns = [path("", views.settings, name="cache_settings")]
