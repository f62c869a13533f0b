"""URLs of recommendations."""

from django.urls import path

from cost_app.recommendations import views

urlpatterns = [
    path("", views.recommendation_list, name="recommendations"),
    path("provider/", views.provider_choice, name="recommendation_provider"),
    path("<int:recommendation_id>/", views.recommendation_detail, name="recommendation"),
    path("<int:recommendation_id>/apply/", views.apply, name="recommendation_apply"),
    path("<int:recommendation_id>/dismiss/", views.dismiss, name="recommendation_dismiss"),
    path("<int:recommendation_id>/undo/", views.undo, name="recommendation_undo"),
]
