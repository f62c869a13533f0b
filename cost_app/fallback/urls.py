"""The pages of fallback chains. Model names can contain slashes, so they come last."""

from django.urls import path

from cost_app.fallback import views

urlpatterns = [
    path("", views.chain_list, name="routes"),
    path("defaults/", views.switch_defaults, name="route_defaults"),
    path("change/<path:name>/", views.change, name="route_change"),
    path("models/<path:name>/", views.chain, name="route"),
]
