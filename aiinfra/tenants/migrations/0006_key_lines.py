from django.db import migrations, models


def join_rotated_keys(apps, _editor):
    """A key and its successors are one line, named after the first of them."""
    keys = apps.get_model("tenants", "ApiKey").objects
    successors = dict(keys.filter(replaced_by__isnull=False).values_list("id", "replaced_by_id"))
    for first in sorted(successors.keys() - set(successors.values())):
        line = [first]
        while line[-1] in successors:
            line.append(successors[line[-1]])
        keys.filter(id__in=line).update(line=keys.values_list("key_id", flat=True).get(id=first))


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0005_once_answer'),
    ]

    operations = [
        migrations.AddField(
            model_name='apikey',
            name='line',
            field=models.CharField(editable=False, help_text='public id of the first of keys that replaced each other', max_length=8, null=True),
        ),
        migrations.AddIndex(
            model_name='apikey',
            index=models.Index(condition=models.Q(('line__isnull', False)), fields=['line'], name='api_key_line'),
        ),
        migrations.RunPython(join_rotated_keys, migrations.RunPython.noop),
    ]
