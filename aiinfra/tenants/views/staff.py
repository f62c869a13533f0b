"""`/installation/staff/`: staff and their rights over the installation."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from aiinfra.tenants.access import MemberRequest, staff_required
from aiinfra.tenants.models import User
from aiinfra.tenants.staff import TITLES, StaffRight, has_right


@staff_required(StaffRight.READ_SECURITY_LOG)
@never_cache
@require_GET
def staff(request: MemberRequest) -> HttpResponse:
    """Active superusers and staff, with their rights in words."""
    people = User.objects.filter(is_active=True, is_staff=True).order_by("-is_superuser", "username")
    rows = [{"person": person, "rights": _rights(person)} for person in people]
    return render(request, "tenants/staff.html", {"rows": rows})


def _rights(person: User) -> list[str]:
    return [] if person.is_superuser else [title for right, title in TITLES.items() if has_right(person, right)]
