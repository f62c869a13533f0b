"""URLs of an organization's privacy page."""

from django.urls import path

from aiinfra.erasure import views

urlpatterns = [
    path("", views.privacy, name="privacy"),
    path("erase/", views.erase, name="privacy_erase"),
]
