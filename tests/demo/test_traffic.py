from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

import pytest
from django.core.management import CommandError, call_command

from aiinfra.demo import traffic as demo_traffic
from aiinfra.demo.questions import DEPARTMENTS
from aiinfra.demo.traffic import Question, Questions
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from queue_app.control import announce_policy
from queue_app.models import AIRequest, Priority, QueuePolicy

MODELS = [("deepseek", "deepseek-chat"), ("openai", "gpt-4"), ("other", "model")]


@pytest.fixture
def demo(queue: None) -> list[Organization]:
    """Two demo organizations, and one that is not a demo."""
    Organization.objects.create(slug="real")
    return [Organization.objects.create(slug=slug, is_demo=True) for slug in ("acme", "demo")]


def first(count: int, seed: int = 1) -> list[Question]:
    return list(islice(Questions(["acme", "demo"], MODELS, seed), count))


def test_the_same_seed_sends_the_same_questions() -> None:
    assert first(50) == first(50)
    assert first(50) != first(50, seed=2)


def test_the_mix_of_questions_is_realistic() -> None:
    questions = first(2000)
    assert {(question.provider, question.model) for question in questions} == set(MODELS)
    priorities = Counter(question.options["priority"] for question in questions)
    names = [name for name, _ in priorities.most_common()]
    assert (names[0], names[-1], len(names)) == ("normal", "critical", 4)
    assert {question.options["organization_id"] for question in questions} == {"acme", "demo"}
    assert len({question.options["user_id"] for question in questions}) > 8
    assert min(question.options["max_tokens"] for question in questions) < 50
    assert 400 < sum(question.is_repeat for question in questions) < 600


def test_repeats_follow_earlier_questions_and_conversations_continue() -> None:
    questions = first(300)
    earlier: list[Sequence[Mapping[str, str]]] = []
    word_for_word = 0
    for question in questions:
        if question.is_repeat:
            *before, last = question.messages
            origins = [each for each in earlier if each[:-1] == before and each[-1]["content"] in last["content"]]
            assert origins
            word_for_word += question.messages in origins
        earlier.append(question.messages)
    assert 0 < word_for_word < sum(question.is_repeat for question in questions)
    longest = max(questions, key=lambda question: len(question.messages))
    assert [message["role"] for message in longest.messages[:5]] == ["system", "user", "assistant", "user", "assistant"]
    opening = longest.messages[:2]
    assert any(question.messages == opening for question in questions)


def test_every_wording_has_values_for_its_placeholders() -> None:
    questions = Questions(["demo"], MODELS, 1)
    for department in DEPARTMENTS:
        for topic in department.topics:
            for wording in topic.wordings:
                assert "{" not in questions._filled(wording)


def test_the_command_sends_to_all_demo_organizations_and_prints_a_summary(
    demo: list[Organization], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("demo_traffic", rate=60, seconds=0.5, seed=4)
    with system_scope():
        requests = list(AIRequest.objects.select_related("organization"))
    assert len(requests) > 10
    assert {request.organization.slug for request in requests} == {"acme", "demo"}
    assert len({request.priority for request in requests}) > 2
    said = capsys.readouterr().out
    assert said.startswith(f"Sent {len(requests)} requests in ")
    assert said.count("\n") == 1


def test_the_command_can_send_to_one_organization(demo: list[Organization]) -> None:
    call_command("demo_traffic", rate=60, seconds=0.2, seed=4, organization=["real"])
    with system_scope():
        assert {request.organization.slug for request in AIRequest.objects.select_related("organization")} == {"real"}


def test_a_full_queue_is_counted_without_stopping(demo: list[Organization], capsys: pytest.CaptureFixture[str]) -> None:
    with system_scope():
        for organization in demo:
            announce_policy(QueuePolicy.objects.create(organization=organization, depth_limit=0))
    call_command("demo_traffic", rate=60, seconds=0.3, seed=4)
    assert "Sent 0 requests" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rate": 0}, "greater than 0"),
        ({"seconds": -1}, "greater than 0"),
        ({"organization": ["nowhere"]}, "unknown organization nowhere"),
    ],
)
def test_invalid_input_is_refused(options: dict[str, object], problem: str, demo: list[Organization]) -> None:
    with pytest.raises(CommandError, match=problem):
        call_command("demo_traffic", **{"seconds": 0.1, **options})


def test_without_a_demo_organization_the_command_says_so(queue: None) -> None:
    with pytest.raises(CommandError, match="no demo organization"):
        call_command("demo_traffic", seconds=0.1)


def test_without_a_priced_model_the_command_says_so(demo: list[Organization], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_traffic, "is_configured", lambda _name: False)
    with pytest.raises(CommandError, match="no configured provider"):
        call_command("demo_traffic", seconds=0.1)


def test_all_priorities_are_sent() -> None:
    assert {name.upper() for name in demo_traffic.PRIORITY_SHARES} == set(Priority.names)
