"""Addresses of single sign-on."""

from django.urls import path

from aiinfra.tenants.sso import settings_views, views

urlpatterns = [
    path("sso/", views.choose, name="sso"),
    path("sso/callback/", views.callback, name="sso_callback"),
    path("sso/<slug:slug>/", views.start, name="sso_start"),
    path("settings/single-sign-on/", settings_views.identity_provider, name="sso_settings"),
    path("settings/single-sign-on/remove/", settings_views.remove, name="sso_remove"),
]
