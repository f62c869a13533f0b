from django.db import migrations


class Migration(migrations.Migration):
    """The column was a label without conversion: every amount is in US dollars. The reverse migration labels all of
    them so.
    """

    dependencies = [("tenants", "0003_audit_of_the_installation")]
    operations = [migrations.RemoveField("organization", "currency")]
