"""A model of the index in plain Python."""

from dataclasses import dataclass, field

from queue_app.models import AIRequest
from queue_app.ordering.index import IndexEntry

PENALTY_S = 10


@dataclass
class Policy:
    weight: int = 1
    cap: int = 0
    paused: frozenset[int] = frozenset()


@dataclass
class Model:
    """The expected content of the index, in plain dictionaries."""

    ready: dict[IndexEntry, float] = field(default_factory=dict)
    delayed: dict[IndexEntry, AIRequest] = field(default_factory=dict)
    claims: set[IndexEntry] = field(default_factory=set)
    policies: dict[int, Policy] = field(default_factory=dict)
    served: list[int] = field(default_factory=list)
    models: dict[IndexEntry, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    unsent: dict[IndexEntry, str] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    all_are_old: bool = False

    def limit_of(self, model: str) -> str:
        """The limit that applies to a model's calls, or ""."""
        name = model if model in self.limits else model.partition("/")[0] + "/"
        return name if self.limits.get(name) else ""

    def has_room(self, entry: IndexEntry) -> bool:
        limit = self.limit_of(self.models[entry])
        used = [*self.unsent.values(), *self.sent].count(limit)
        return not limit or used < self.limits[limit]

    def release(self, entry: IndexEntry) -> None:
        self.claims.discard(entry)
        self.unsent.pop(entry, None)

    def in_flight(self, organization: int) -> int:
        return sum(entry.organization_id == organization for entry in self.claims)

    def policy(self, organization: int) -> Policy:
        return self.policies.get(organization, Policy())

    def heads(self, *, whatever_the_limits: bool = False) -> dict[int, tuple[float, IndexEntry]]:
        """The best entry of each organization that may start a request."""
        heads: dict[int, tuple[float, IndexEntry]] = {}
        for entry, score in self.ready.items():
            policy, organization = self.policy(entry.organization_id), entry.organization_id
            is_full = policy.cap and self.in_flight(organization) >= policy.cap
            if is_full or entry.priority in policy.paused:
                continue
            if not (whatever_the_limits or self.has_room(entry)):
                continue
            if organization not in heads or score < heads[organization][0]:
                heads[organization] = (score, entry)
        return heads

    def best(self) -> IndexEntry | None:
        def key(organization: int) -> tuple[float, int, float]:
            score = heads[organization][0]
            penalty = PENALTY_S * self.in_flight(organization) / self.policy(organization).weight
            return (0 if self.all_are_old else score) + penalty, self._served_at(organization), score

        heads = self.heads()
        return heads[min(heads, key=key)][1] if heads else None

    def _served_at(self, organization: int) -> int:
        """The number of the organization's latest claim, or 0."""
        return max((number for number, served in enumerate(self.served, 1) if served == organization), default=0)
