import django.utils.timezone
from django.db import migrations, models

from aiinfra.append_only import append_only


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='ChainHead',
            fields=[
                ('name', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('length', models.BigIntegerField(default=0)),
                ('digest', models.CharField(blank=True, max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name='CountedMinute',
            fields=[
                ('minute', models.BigIntegerField(help_text='minutes since 1970', primary_key=True, serialize=False)),
            ],
        ),
        migrations.CreateModel(
            name='SecurityEvent',
            fields=[
                ('sequence', models.BigIntegerField(primary_key=True, serialize=False)),
                ('digest', models.CharField(help_text='SHA-256 of the previous digest and this row', max_length=64)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('event', models.CharField(help_text='noun.verb, such as login.failed', max_length=64)),
                ('actor', models.CharField(blank=True, help_text='empty if unknown', max_length=200)),
                ('organization', models.CharField(blank=True, help_text='the slug; empty for the installation', max_length=63)),
                ('ip_address', models.GenericIPAddressField(blank=True, null=True)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('target', models.CharField(blank=True, max_length=200)),
                ('details', models.JSONField(default=dict, help_text='never a secret, never prompt text')),
            ],
            options={
                'indexes': [models.Index(fields=['event', '-sequence'], name='security_by_event'), models.Index(fields=['actor', '-sequence'], name='security_by_actor'), models.Index(fields=['organization', '-sequence'], name='security_by_organization'), models.Index(fields=['ip_address', '-sequence'], name='security_by_address'), models.Index(fields=['at'], name='security_by_time')],
            },
        ),
        append_only("security_log_securityevent"),
    ]
