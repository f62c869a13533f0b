from aiinfra import command
from queue_app.processing.worker import serve_workers


class Command(command.Command):
    """`manage.py worker`: process the queue until SIGTERM, then drain."""

    help = "Process the queue until SIGTERM or SIGINT."

    def handle(self, *args: object, **options: object) -> None:  # noqa: ARG002 - Django's signature
        serve_workers()
