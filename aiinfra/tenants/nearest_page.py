"""Finds the page to show after a switch to another organization."""

from typing import Any

from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve

from aiinfra.tenants.access import PUBLIC, is_allowed
from aiinfra.tenants.authorization import Principal


def nearest_page(path: str, principal: Principal, user: Any) -> str:
    """The page at the path, or its nearest parent without an id: ids belong to one organization."""
    while path not in {"", "/"}:
        try:
            found = resolve(path)
        except Resolver404:
            found = None
        if found and not found.kwargs and _may_open(found.func, principal, user):
            return path
        path = path.rstrip("/").rpartition("/")[0] + "/"
    return resolve_url("home")


def _may_open(view: Any, principal: Principal, user: Any) -> bool:
    permission = getattr(view, "permission", None)
    return permission not in {None, PUBLIC} and is_allowed(permission, principal, user)
