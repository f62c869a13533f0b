"""Raw records for staff, without addresses, secrets and message texts."""

from django.contrib import admin

from aiinfra.notifications.models import Channel, Delivery
from aiinfra.tenants.admin import ReadOnlyAdmin


@admin.register(Channel)
class ChannelAdmin(ReadOnlyAdmin):
    """Channels of all organizations."""

    list_display = ["name", "organization", "kind", "min_severity", "enabled", "created_at", "removed_at"]
    list_filter = ["kind", "enabled", "organization"]
    search_fields = ["name"]
    exclude = ["target", "secret"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Deliveries of all organizations."""

    list_display = ["message_id", "organization", "channel", "about", "state", "tries", "last_error", "created_at"]
    list_filter = ["state", "channel__kind", "created_at", "organization"]
    list_select_related = ["organization", "channel"]
    search_fields = ["=message_id", "=about", "channel__name", "last_error"]
    ordering = ["-created_at"]
    exclude = ["payload", "target"]
