"""URLs of the entry pages."""

from django.urls import path

from cache_app.entries import views

urlpatterns = [
    path("", views.entry_list, name="cache_entries"),
    path("clear/", views.clear, name="cache_clear"),
    path("<slug:entry_id>/", views.entry, name="cache_entry"),
    path("<slug:entry_id>/pin/", views.pin, name="cache_entry_pin"),
    path("<slug:entry_id>/unpin/", views.unpin, name="cache_entry_unpin"),
    path("<slug:entry_id>/remove/", views.remove, name="cache_entry_remove"),
]
