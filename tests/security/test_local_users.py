"""Attacks by other local users and by anyone who can write to Redis."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from redis import AuthenticationError, Redis
from rq import Callback, Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from aiinfra.redis import bytes_client
from aiinfra.stack import bundled_redis, private_files
from queue_app.processing import worker as worker_module
from queue_app.processing.worker import PoolWorker, Ticket
from tests.support.processes import free_port, start, wait_until


@pytest.fixture
def run_tickets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tickets that the worker ran."""
    run: list[str] = []
    monkeypatch.setattr(worker_module, "run_next", lambda: run.append("ticket"))
    return run


def touch(path: str) -> None:
    """The function that an attacker names in a job."""
    Path(path).touch()


def touch_argument(job: Job, *_: object) -> None:
    """The callback that an attacker names in a job."""
    touch(*job.args)


@pytest.mark.parametrize("function", ["os.system", "subprocess.getoutput", "tests.security.test_local_users.touch"])
def test_worker_ignores_the_function_named_in_redis(
    redis_url: str, run_tickets: list[str], tmp_path: Path, function: str
) -> None:
    target = tmp_path / "reached"
    argument = str(target) if function.endswith("touch") else f"touch {target}"
    queue = Queue("llm", connection=bytes_client(), serializer=JSONSerializer)
    run_job(queue, Job.create(function, args=[argument], connection=bytes_client(), serializer=JSONSerializer))
    assert not target.exists()
    assert run_tickets == ["ticket"]


@pytest.mark.parametrize("is_broken", [False, True], ids=["success", "failure"])
def test_worker_ignores_callbacks(
    redis_url: str, run_tickets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_broken: bool
) -> None:
    def fail() -> None:
        run_tickets.append("ticket")
        raise RuntimeError

    if is_broken:
        monkeypatch.setattr(worker_module, "run_next", fail)
    target, redis = tmp_path / "reached", bytes_client()
    queue = Queue("llm", connection=redis, serializer=JSONSerializer)
    job = Job.create(
        touch,
        args=[str(target)],
        connection=redis,
        serializer=JSONSerializer,
        on_success=Callback(touch_argument),
        on_failure=Callback(touch_argument),
    )
    run_job(queue, job)
    assert run_tickets == ["ticket"]
    assert len(queue.failed_job_registry.get_job_ids()) == is_broken
    assert not target.exists()


@pytest.mark.parametrize("moment", ["success", "failure", "stopped"])
def test_ticket_has_no_callbacks(redis_url: str, moment: str) -> None:
    named = {f"on_{moment}": Callback(touch_argument)}
    job = Job.create(touch, connection=bytes_client(), serializer=JSONSerializer, **named)
    job.save()
    assert getattr(job, f"{moment}_callback") is touch_argument
    ticket = Ticket.fetch(job.id, connection=bytes_client(), serializer=JSONSerializer)
    assert getattr(ticket, f"{moment}_callback") is None


def run_job(queue: Queue, job: Job) -> None:
    """Run the job in a worker."""
    queue.enqueue_job(job)
    worker = PoolWorker([queue.name], connection=bytes_client(), serializer=JSONSerializer)
    ticket = worker._next_ticket()
    assert ticket is not None
    worker._run_ticket(*ticket)


@pytest.fixture
def protected_redis(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis that is configured as by `run`."""
    port, directory = free_port(), tmp_path / "redis"
    bundled_redis.write_configuration(port, directory, "the password")
    with start(bundled_redis.server_command(bundled_redis.redis_binary(), directory)):
        client = Redis(port=port, password="the password")
        wait_until(lambda: is_ready(client), "Redis to start")
        yield port


def is_ready(client: Redis) -> bool:
    """Whether Redis is ready."""
    try:
        return bool(client.ping())
    except ConnectionError:
        return False
    except Exception as error:
        if isinstance(error, AuthenticationError):
            raise
        return False


def test_bundled_redis_requires_its_password(protected_redis: int) -> None:
    with pytest.raises(AuthenticationError):
        Redis(port=protected_redis).ping()


def test_redis_password_is_not_on_the_command_line(tmp_path: Path) -> None:
    bundled_redis.write_configuration(1, tmp_path, "the password")
    assert "the password" not in " ".join(bundled_redis.server_command("redis-server", tmp_path))
    assert stat.S_IMODE((tmp_path / "redis.conf").stat().st_mode) == 0o600


@pytest.fixture
def data(settings: Settings, tmp_path: Path) -> Path:
    """The data directory of an earlier version, which other users can read."""
    directory = settings.DATA_DIR = tmp_path / "data"
    (directory / "log").mkdir(parents=True)
    (directory / "log" / "web.log").touch()
    (directory / "secret_key").touch()
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Path(directory)


def exposed_files(directory: Path) -> set[str]:
    """The files in the directory that other users can read."""
    return {path.name for path in private_files.exposed() if path.is_relative_to(directory)}


@pytest.mark.django_db
def test_files_of_an_earlier_version_become_private(data: Path) -> None:
    assert exposed_files(data) == {"data", "log", "web.log", "secret_key"}
    private_files.protect()
    assert exposed_files(data) == set()


@pytest.mark.django_db
@pytest.mark.parametrize("mode", [0o1777, 0o755])
def test_shared_directory_stays_readable(data: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    """For example, a temporary directory of all users, or a home directory."""
    data.chmod(mode)
    (data / "mine.txt").touch(mode=0o644)
    (data / "mine.txt").chmod(0o644)
    if mode == 0o755:
        monkeypatch.setenv("HOME", str(data))
    private_files.protect()
    assert stat.S_IMODE(data.stat().st_mode) == mode
    assert stat.S_IMODE((data / "mine.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((data / "secret_key").stat().st_mode) == 0o600
