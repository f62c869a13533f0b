"""The pages of exports, statements, invoices and closed months."""

from django.urls import path

from cost_app.finance import views
from cost_app.finance.invoices import views as invoice_views

urlpatterns = [
    path("", views.overview, name="finance"),
    path("statements/<slug:slug>/", views.statement, name="finance_statement"),
    path("statements/<slug:slug>/csv/", views.statement_file, name="finance_statement_file"),
    path("statements/<slug:slug>/close/", views.close, name="finance_close"),
    path("closed/<slug:slug>/", views.closed, name="finance_closed"),
    path("closed/<slug:slug>/json/", views.closed_file, name="finance_closed_file"),
    path("exports/", views.exports, name="finance_exports"),
    path("exports/file/", views.export_file, name="finance_export_file"),
    path("invoices/", invoice_views.invoices, name="finance_invoices"),
    path("invoices/upload/", invoice_views.upload, name="finance_invoice_upload"),
    path("invoices/<uuid:invoice_id>/", invoice_views.invoice, name="finance_invoice"),
    path("invoices/<uuid:invoice_id>/csv/", invoice_views.invoice_file, name="finance_invoice_file"),
]
