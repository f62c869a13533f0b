"""Whether a client's session is still valid."""

from django.test import Client
from django.urls import reverse


def is_logged_in(client: Client) -> bool:
    """Whether the client can open the page of members."""
    return client.get(reverse("members")).status_code == 200
