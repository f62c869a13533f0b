"""The page of the rules."""

from django.urls import path

from cache_app.rules import views

urlpatterns = [path("", views.settings, name="cache_settings")]
