"""How the queue's load is spread across organizations: for staff, who run the installation for all of them."""

from dataclasses import dataclass, field

from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from queue_app.models import QueueMinute
from queue_app.ordering import index
from queue_app.stats.outcome_counts import Outcomes
from queue_app.stats.summary import RATE_WINDOW

TOP = 10


@dataclass
class OrganizationLoad:
    """One organization: what could start now, by priority, and what ended within the rate window."""

    organization_id: int
    name: str = ""
    depth: dict[int, int] = field(default_factory=dict)
    ended: Outcomes = field(default_factory=Outcomes)

    @property
    def waiting(self) -> int:
        """All priorities together."""
        return sum(self.depth.values())


def top_loads() -> tuple[list[OrganizationLoad], int]:
    """The organizations with the most waiting, then the most ended, and how many have either. Raises RedisError."""
    loads: dict[int, OrganizationLoad] = {}
    for (organization_id, priority), count in index.depths().items():
        if organization_id is not None and count:
            loads.setdefault(organization_id, OrganizationLoad(organization_id)).depth[priority] = count
    for organization_id, outcomes in _ended():
        loads.setdefault(organization_id, OrganizationLoad(organization_id)).ended.merge(outcomes)
    top = sorted(loads.values(), key=lambda load: (-load.waiting, -load.ended.completed, load.organization_id))[:TOP]
    names = dict(Organization.objects.filter(id__in=[load.organization_id for load in top]).values_list("id", "name"))
    for load in top:
        load.name = names.get(load.organization_id, "")
    return top, len(loads)


def _ended() -> list[tuple[int, Outcomes]]:
    """By minute: to group by organization, SQLite would go through the minutes of all days."""
    with system_scope():
        minutes = QueueMinute.objects.filter(minute__gt=timezone.now() - RATE_WINDOW)
        rows = list(minutes.values_list("organization_id", *Outcomes.NAMES))
    return [(row[0], Outcomes(*row[1:])) for row in rows]
