"""`python -m tests.faults.enqueue_many ORGANIZATION COUNT PRIORITY...`: enqueues through the Python API.

All requests come from one process, so that little time passes between them.
"""

import sys

import django


def main() -> None:
    """Enqueue COUNT requests of each priority in turn, and print one ID per line."""
    django.setup()
    from queue_app import create_ai_request_queue

    organization, count, *priorities = sys.argv[1:]
    queue = create_ai_request_queue()
    for priority in priorities:
        for number in range(int(count)):
            messages = [{"role": "user", "content": f"Question {number}"}]
            request = queue.enqueue(
                "deepseek", "deepseek-chat", messages, organization_id=organization, priority=priority, max_tokens=50
            )
            print(request)


if __name__ == "__main__":
    main()
