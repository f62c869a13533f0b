from aiinfra import command
from aiinfra.batches import retention
from aiinfra.erasure import running as erasure
from aiinfra.gateway.batches import running as batches
from aiinfra.monitoring import tasks as monitoring
from cost_app import create_cost_optimizer
from queue_app.facade import run_scheduler


class Command(command.Command):
    """`manage.py scheduler`: the reconciler and the scheduled jobs of all layers, until SIGTERM."""

    help = "Run the reconciler and the scheduled jobs until SIGTERM or SIGINT. Several schedulers can run at once."

    def handle(self, *args: object, **options: object) -> None:  # noqa: ARG002 - Django's signature
        uploads = create_cost_optimizer().upload_jobs()
        of_batches = (batches.jobs(), batches.embedding_jobs())
        run_scheduler(monitoring.jobs(), erasure.jobs(), uploads, retention.jobs(), *of_batches)
