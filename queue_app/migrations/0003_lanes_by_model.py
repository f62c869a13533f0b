from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('queue_app', '0002_follow_equal_requests'),
        ('tenants', '0002_audit_append_only'),
    ]

    operations = [
        migrations.AddField(
            model_name='airequest',
            name='next_model',
            field=models.CharField(blank=True, help_text='provider/model of the current attempt, if it differs from the requested one', max_length=161),
        ),
        migrations.AddIndex(
            model_name='airequest',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['organization', 'not_before'], name='request_held'),
        ),
        migrations.AddIndex(
            model_name='airequest',
            index=models.Index(condition=models.Q(('error_code', ''), _negated=True), fields=['organization', 'error_code', '-created_at'], name='request_by_error'),
        ),
    ]
