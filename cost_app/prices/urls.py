"""URLs of the price book. The last one matches every other name: `prices/<provider>/<model>/`."""

from django.urls import path

from cost_app.prices import views

urlpatterns = [
    path("", views.price_list, name="prices"),
    path("add/", views.add, name="price_add"),
    path("proposals/", views.proposal_list, name="price_proposals"),
    path("proposals/<int:proposal_id>/approve/", views.approve, name="price_approve"),
    path("proposals/<int:proposal_id>/reject/", views.reject, name="price_reject"),
    path("repricing/", views.repricing_form, name="price_repricing"),
    path("repricing/post/", views.repricing_post, name="price_reprice"),
    path("<path:name>/", views.history, name="price_history"),
]
