"""URLs of spend."""

from django.urls import path

from cost_app.spend import views

urlpatterns = [
    path("", views.costs, name="costs"),
    path("figures/<slug:name>/", views.figure, name="cost_figure"),
    path("figures/<slug:name>/table/", views.figure_table, name="cost_figure_table"),
    path("table.csv", views.table_csv, name="cost_csv"),
    path("settings/", views.settings, name="cost_settings"),
]
