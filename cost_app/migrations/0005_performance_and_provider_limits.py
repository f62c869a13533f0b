import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


from cost_app.prices.shipped import add_shipped_limits


def mark_sums_for_a_rebuild(apps, _editor):
    """Hours and days averaged cache hits and failures into the latency; `follow_time_zones` makes them again.

    It rebuilds the sums of organizations whose zone is not the one that they were folded in, so they get another name of
    UTC. In the minute until then the sums of an organization elsewhere may put a call into a neighboring hour.
    """
    policies = apps.get_model("cost_app", "CostPolicy").objects.exclude(usage_time_zone="")
    policies.exclude(organization__time_zone="Etc/UTC").update(usage_time_zone="Etc/UTC")
    policies.filter(organization__time_zone="Etc/UTC").update(usage_time_zone="UTC")


class Migration(migrations.Migration):

    dependencies = [
        ('cost_app', '0004_alerts_of_the_installation'),
        ('tenants', '0002_audit_append_only'),
    ]

    operations = [
        migrations.CreateModel(
            name='ModelHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=32)),
                ('model', models.CharField(max_length=128)),
                ('calls', models.PositiveBigIntegerField(default=0, help_text='answered and failed ones; no cache hits')),
                ('failures', models.PositiveBigIntegerField(default=0)),
                ('errors', models.JSONField(default=dict, help_text='failures by error code')),
                ('timed_calls', models.PositiveBigIntegerField(default=0, help_text='answered calls whose latency is known')),
                ('latency_ms', models.PositiveBigIntegerField(default=0, help_text='sum over the timed calls')),
                ('latencies', models.JSONField(default=dict, help_text='timed calls by bucket of cost_app.performance.histogram')),
                ('hour', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='ModelMinute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=32)),
                ('model', models.CharField(max_length=128)),
                ('calls', models.PositiveBigIntegerField(default=0, help_text='answered and failed ones; no cache hits')),
                ('failures', models.PositiveBigIntegerField(default=0)),
                ('errors', models.JSONField(default=dict, help_text='failures by error code')),
                ('timed_calls', models.PositiveBigIntegerField(default=0, help_text='answered calls whose latency is known')),
                ('latency_ms', models.PositiveBigIntegerField(default=0, help_text='sum over the timed calls')),
                ('latencies', models.JSONField(default=dict, help_text='timed calls by bucket of cost_app.performance.histogram')),
                ('minute', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='ModelState',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=32)),
                ('model', models.CharField(max_length=128)),
                ('answered_at', models.DateTimeField(help_text='end of the last answered call', null=True)),
                ('failed_at', models.DateTimeField(help_text='end of the last failed call, whatever the error', null=True)),
                ('failing_since', models.DateTimeField(help_text='first failure of the provider after the last answer; None while it answers', null=True)),
                ('failures', models.PositiveBigIntegerField(default=0, help_text='failures of the provider since the last answer')),
                ('errors', models.JSONField(default=dict, help_text='error code -> [time of the last one (ISO 8601), its message]')),
            ],
        ),
        migrations.CreateModel(
            name='ProviderLimit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=32)),
                ('model', models.CharField(blank=True, help_text="empty: the provider's other models, which share the limit", max_length=128)),
                ('requests_per_minute', models.PositiveIntegerField(blank=True, help_text='calls per minute; empty for no limit', null=True, validators=[django.core.validators.MinValueValidator(1)])),
                ('expected_latency_ms', models.PositiveIntegerField(blank=True, help_text='assumed until enough calls have been measured', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='expected latency, ms')),
                ('changed_by', models.CharField(blank=True, help_text='empty: as shipped; a shipped limit applies to the provider itself, not to the sandbox', max_length=200)),
            ],
        ),
        migrations.AddIndex(
            model_name='attempt',
            index=models.Index(condition=models.Q(('error_code', ''), _negated=True), fields=['organization', 'provider', 'model', '-created_at'], name='attempt_failed'),
        ),
        migrations.AddField(
            model_name='modelhour',
            name='organization',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.organization'),
        ),
        migrations.AddField(
            model_name='modelminute',
            name='organization',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.organization'),
        ),
        migrations.AddField(
            model_name='modelstate',
            name='organization',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.organization'),
        ),
        migrations.AddConstraint(
            model_name='providerlimit',
            constraint=models.UniqueConstraint(fields=('provider', 'model'), name='one_provider_limit'),
        ),
        migrations.AddConstraint(
            model_name='providerlimit',
            constraint=models.CheckConstraint(condition=models.Q(('requests_per_minute', None), ('requests_per_minute__gte', 1), _connector='OR'), name='provider_limit_positive'),
        ),
        migrations.AddIndex(
            model_name='modelhour',
            index=models.Index(fields=['hour'], name='model_hour'),
        ),
        migrations.AddConstraint(
            model_name='modelhour',
            constraint=models.UniqueConstraint(fields=('organization', 'hour', 'provider', 'model'), name='one_model_hour'),
        ),
        migrations.AddIndex(
            model_name='modelminute',
            index=models.Index(fields=['minute'], name='model_minute'),
        ),
        migrations.AddConstraint(
            model_name='modelminute',
            constraint=models.UniqueConstraint(fields=('organization', 'minute', 'provider', 'model'), name='one_model_minute'),
        ),
        migrations.AddConstraint(
            model_name='modelstate',
            constraint=models.UniqueConstraint(fields=('organization', 'provider', 'model'), name='one_model_state'),
        ),
        migrations.RunPython(
            lambda apps, _editor: add_shipped_limits(apps.get_model("cost_app", "ProviderLimit")),
            migrations.RunPython.noop,
        ),
        migrations.RunPython(mark_sums_for_a_rebuild, migrations.RunPython.noop),
    ]
