"""Forms for queue alerts."""

from django import forms

from aiinfra.edit_forms import EditForm
from aiinfra.monitoring.models import AlertRules


class AlertRulesForm(EditForm, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The thresholds of an organization, or of the installation."""

    class Meta:
        model = AlertRules
        fields = ["max_wait_s", "max_error_percent", "min_requests", "max_depth"]
        labels = {
            "max_wait_s": "Queue latency (seconds)",
            "max_error_percent": "Error rate (%)",
            "min_requests": "Minimum requests for the error rate",
            "max_depth": "Queue depth (requests)",
        }
