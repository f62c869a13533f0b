"""Simulated company traffic for a first look at the product, sent through the regular API."""

import random
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiinfra.demo.questions import DEPARTMENTS, SLOTS, Department, Topic
from aiinfra.providers.registry import is_configured
from aiinfra.tenants.models import Organization
from cost_app import create_cost_optimizer
from queue_app import create_ai_request_queue
from queue_app.facade import PriorityName, QueueFullError

MODEL_SHARES = {"deepseek-chat": 50, "gpt-3.5-turbo": 24, "claude-haiku-4-5": 16, "gpt-4": 10}
OTHER_MODEL_SHARE = 5
PRIORITY_SHARES: dict[PriorityName, int] = {"critical": 4, "high": 16, "normal": 60, "low": 20}
REPEAT_SHARE = 0.25
"""Share of questions that were asked before."""
WORD_FOR_WORD_SHARE = 0.6
"""Of these; the others are rephrased slightly."""
FRAMES = ("Hello! {}", "{} Thank you!", "Please help me: {}", "Hi, a quick question: {}")
FOLLOW_UP_SHARE = 0.2
"""Share of questions that continue a conversation."""
TOKENS_MAX = (24, 120, 400, 800, 1200)
TOKEN_SHARES_MAX = (12, 28, 34, 18, 8)
REMEMBERED = 40
"""How many of the last questions, and of the open conversations, can recur."""


class NothingToSendError(Exception):
    """No organization to send for, or no model that is both configured and priced."""


@dataclass(frozen=True)
class Question:
    """A request with the arguments of `enqueue`."""

    provider: str
    model: str
    messages: Sequence[Mapping[str, str]]
    options: Mapping[str, Any]
    is_repeat: bool = False


@dataclass
class Conversation:
    """A conversation so far, and the possible next questions."""

    question: Question
    topic: Topic
    turns: int = 0

    def next_turn(self) -> list[Mapping[str, str]]:
        """The conversation with the last answer and the next question. Raises IndexError after the last one."""
        follow_up = self.topic.follow_ups[self.turns]
        answered = {"role": "assistant", "content": self.topic.answer}
        return [*self.question.messages, answered, {"role": "user", "content": follow_up}]


class Questions:
    """An endless, realistic mix; deterministic for a seed and a list of models."""

    def __init__(self, organizations: Sequence[str], models: Sequence[tuple[str, str]], seed: int | None) -> None:
        self._random = random.Random(seed)
        self._organizations = organizations
        self._models = models
        self._shares = [MODEL_SHARES.get(model, OTHER_MODEL_SHARE) for _, model in models]
        self._asked: deque[Question] = deque(maxlen=REMEMBERED)
        self._open: deque[Conversation] = deque(maxlen=REMEMBERED)

    def __iter__(self) -> Iterator[Question]:
        while True:
            question = self._next()
            self._asked.append(question)
            yield question

    def gap_s(self, rate: float) -> float:
        """Random seconds until the next question, for an average rate per second."""
        return self._random.expovariate(rate)

    def _next(self) -> Question:
        dice = self._random.random()
        if dice < REPEAT_SHARE and self._asked:
            earlier = self._random.choice(self._asked)
            return replace(earlier, messages=self._asked_again(earlier.messages), is_repeat=True)
        if dice < REPEAT_SHARE + FOLLOW_UP_SHARE and self._open:
            return self._follow_up()
        return self._new()

    def _asked_again(self, messages: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
        if self._random.random() < WORD_FOR_WORD_SHARE:
            return messages
        *before, last = messages
        return [*before, {**last, "content": self._random.choice(FRAMES).format(last["content"])}]

    def _new(self) -> Question:
        department = self._random.choice(DEPARTMENTS)
        topic = self._random.choice(department.topics)
        asked = self._filled(self._random.choice(topic.wordings))
        messages = [{"role": "system", "content": department.system}, {"role": "user", "content": asked}]
        provider, model = self._random.choices(self._models, self._shares)[0]
        question = Question(provider, model, messages, self._options(department, topic))
        if topic.follow_ups:
            self._open.append(Conversation(question, topic))
        return question

    def _follow_up(self) -> Question:
        talk = self._random.choice(self._open)
        first = talk.question
        question = Question(first.provider, first.model, talk.next_turn(), first.options)
        talk.question, talk.turns = question, talk.turns + 1
        if talk.turns == len(talk.topic.follow_ups):
            self._open.remove(talk)
        return question

    def _options(self, department: Department, topic: Topic) -> dict[str, Any]:
        return {
            "organization_id": self._random.choice(self._organizations),
            "priority": self._random.choices(list(PRIORITY_SHARES), list(PRIORITY_SHARES.values()))[0],
            "user_id": self._random.choice(department.people),
            "conversation_id": f"{department.name}-{self._random.getrandbits(32):08x}",
            "max_tokens": _max_tokens(topic),
            "tags": [department.name, self._random.choice(("web", "api", "batch"))],
        }

    def _filled(self, wording: str) -> str:
        return wording.format(**{name: self._random.choice(values) for name, values in SLOTS.items()})


@dataclass
class Report:
    """What was sent."""

    seconds: float = 0.0
    sent: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    refused: int = 0

    def __str__(self) -> str:
        by_priority = ", ".join(f"{self.sent[name]} {name}" for name in PRIORITY_SHARES)
        return (
            f"Sent {self.sent.total()} requests in {self.seconds:.0f} s ({by_priority}; {self.repeats} repeats); "
            f"{self.refused} rejected because a queue was full."
        )


def send_traffic(*, rate: float, seconds: float, organizations: Sequence[str] = (), seed: int | None = None) -> Report:
    """Send about `rate` requests per second for `seconds`; by default for all demo organizations.

    Raises NothingToSendError.
    """
    questions = Questions(_checked(organizations), _models(), seed)
    queue, report, stream = create_ai_request_queue(), Report(), iter(questions)
    start, due = time.monotonic(), questions.gap_s(rate)
    while due < seconds:
        time.sleep(max(0.0, start + due - time.monotonic()))
        question = next(stream)
        try:
            queue.ask(question.provider, question.model, question.messages, **question.options)
        except QueueFullError:
            report.refused += 1
        else:
            report.sent[question.options["priority"]] += 1
            report.repeats += question.is_repeat
        due += questions.gap_s(rate)
    report.seconds = time.monotonic() - start
    return report


def _max_tokens(topic: Topic) -> int:
    """The same for all wordings of a topic, as in a real application. Otherwise they couldn't share cached answers."""
    return random.Random(topic.wordings[0]).choices(TOKENS_MAX, TOKEN_SHARES_MAX)[0]


def _checked(slugs: Sequence[str]) -> list[str]:
    demo = Organization.objects.filter(slug__in=slugs) if slugs else Organization.objects.filter(is_demo=True)
    found = list(demo.order_by("slug").values_list("slug", flat=True))
    if missing := set(slugs) - set(found):
        raise NothingToSendError(f"unknown organization {', '.join(sorted(missing))}")
    if not found:
        raise NothingToSendError("no demo organization; name one with --organization")
    return found


def _models() -> list[tuple[str, str]]:
    """The common models, without the hundred others in the price book."""
    models = [model for model in create_cost_optimizer().priced_models() if is_configured(model[0])]
    if not models:
        raise NothingToSendError("no configured provider has a model with a price")
    return [model for model in models if model[1] in MODEL_SHARES] or models
