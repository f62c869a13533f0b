"""Checkboxes are inside their labels."""

import re

from django import forms
from django.template.loader import render_to_string


class Consent(forms.Form):
    is_enforced = forms.BooleanField(label="Require single sign-on", required=False, help_text="Everyone has to.")


def test_the_label_contains_the_checkbox_and_its_text() -> None:
    html = render_to_string("shared/_field.html", {"field": Consent()["is_enforced"]})
    label = re.search(r'<label class="row"\s+for="id_is_enforced">(.*?)</label>', html, re.DOTALL)
    assert label
    assert re.search(r'type="checkbox"', label[1])
    assert label[1].strip().endswith("Require single sign-on")
    assert 'aria-describedby="id_is_enforced_helptext"' in label[1]
    assert 'id="id_is_enforced_helptext"' in html
