"""The URLs of all parts of the cost engine."""

from django.urls import include, path

urlpatterns = [
    path("costs/", include("cost_app.spend.urls")),
    path("budgets/", include("cost_app.budgets.urls")),
    path("alerts/", include("cost_app.alerts.urls")),
    path("recommendations/", include("cost_app.recommendations.urls")),
    path("prices/", include("cost_app.prices.urls")),
    path("finance/", include("cost_app.finance.urls")),
    path("settings/routes/", include("cost_app.fallback.urls")),
]
