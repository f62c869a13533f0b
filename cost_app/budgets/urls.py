"""URLs of budgets."""

from django.urls import path

from cost_app.budgets import views

urlpatterns = [
    path("", views.budget_list, name="budgets"),
    path("new/", views.budget_create, name="budget_create"),
    path("new/preview/", views.budget_preview, name="budget_preview"),
    path("<int:budget_id>/", views.budget, name="budget"),
    path("<int:budget_id>/edit/", views.budget_edit, name="budget_edit"),
    path("<int:budget_id>/remove/", views.budget_remove, name="budget_remove"),
    path("<int:budget_id>/increase/", views.budget_increase, name="budget_increase"),
    path("<int:budget_id>/burn-down/", views.burn_down, name="budget_burn_down"),
    path("<int:budget_id>/burn-down/table/", views.burn_down_table, name="budget_burn_down_table"),
    path("<int:budget_id>/history/", views.history, name="budget_history"),
    path("<int:budget_id>/history/table/", views.history_table, name="budget_history_table"),
    path("increases/<int:increase_id>/withdraw/", views.increase_withdraw, name="budget_increase_withdraw"),
]
