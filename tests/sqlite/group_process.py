"""A process in which threads commit as a group, and which kills itself around the COMMIT: see `test_crashes`.

The arguments are the number of threads and the moment of the kill. Prints each thread's answer.
"""

import os
import signal
import sys
import threading

import django
from django.db import connection


def die() -> None:
    """Kill this process, like `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Let the threads join one group, and die when it commits."""
    django.setup()
    from aiinfra import group_commit
    from aiinfra.sqlite.base import DatabaseWrapper
    from aiinfra.sqlite.gate import Gate
    from aiinfra.tenants.models import Organization
    from tests.support.processes import wait_until

    threads, moment = int(sys.argv[1]), sys.argv[2]
    commit = DatabaseWrapper._commit

    def commit_and_die(wrapper: DatabaseWrapper) -> None:
        if moment == "before the commit":
            die()
        commit(wrapper)
        if moment == "before the answers":
            die()

    def write(number: int) -> None:
        group_commit.grouped(lambda: Organization.objects.create(slug=str(number), name="x"))
        os.write(sys.stdout.fileno(), f"{number}\n".encode())  # print could write the line in two parts
        connection.close()

    with Gate(os.path.realpath(connection.settings_dict["NAME"])).passed(60):
        running = [threading.Thread(target=write, args=(number,)) for number in range(threads)]
        for thread in running:
            thread.start()
        wait_until(lambda: group_commit._open is not None and len(group_commit._open.members) == threads, "the group")
        DatabaseWrapper._commit = commit_and_die  # type: ignore[method-assign]
    for thread in running:
        thread.join()


if __name__ == "__main__":
    main()
