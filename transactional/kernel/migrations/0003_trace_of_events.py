from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("kernel", "0002_timer"),
    ]

    operations = [
        migrations.AddField(
            model_name="outbox",
            name="traceparent",
            field=models.TextField(null=True),
        ),
    ]
