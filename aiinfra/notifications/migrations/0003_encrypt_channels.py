from django.db import migrations, models

import aiinfra.encrypted_fields
from aiinfra.encryption import decrypt, encrypt

SECRET_HELP = "signs webhooks; empty for other kinds"


def encrypt_channels(apps, _editor):
    """Between the two changes of the columns, the model reads and writes them as they are stored."""
    _change_each(apps, encrypt)


def decrypt_channels(apps, _editor):
    """Raises UndecryptableError, and changes nothing, if a key is missing."""
    _change_each(apps, decrypt)


def _change_each(apps, change):
    for channel in apps.get_model("notifications", "Channel")._base_manager.iterator():
        channel.target = channel.target and change(channel.target)
        channel.secret = channel.secret and change(channel.secret)
        channel.save(update_fields=["target", "secret"])


class Migration(migrations.Migration):
    """Addresses and secrets of channels are encrypted."""

    dependencies = [("notifications", "0002_channels_of_the_installation")]
    operations = [
        migrations.AlterField("channel", "target", models.TextField(max_length=500)),
        migrations.AlterField(
            "channel", "secret", models.TextField(blank=True, help_text=SECRET_HELP, max_length=100)
        ),
        migrations.RunPython(encrypt_channels, decrypt_channels),
        migrations.AlterField("channel", "target", aiinfra.encrypted_fields.EncryptedTextField(max_length=500)),
        migrations.AlterField(
            "channel",
            "secret",
            aiinfra.encrypted_fields.EncryptedTextField(blank=True, help_text=SECRET_HELP, max_length=100),
        ),
    ]
