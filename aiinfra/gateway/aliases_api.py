"""`/api/ai/aliases`: the organization's model aliases for `/v1`."""

from typing import Annotated

from pydantic import Field, StringConstraints

from aiinfra.api import ApiCall, ApiModel, Endpoint, NoParameters, Operation, Removed
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.model_names import BUILT_IN, check_target
from aiinfra.providers import aliases

Name = Annotated[
    str,
    StringConstraints(pattern=aliases.NAME_PATTERN),
    Field(description="letters, digits, and . _ : -"),
]


class AliasIn(ApiModel):
    """The model that a name stands for."""

    alias: Name
    model: Annotated[
        str,
        StringConstraints(min_length=1, max_length=aliases.TARGET_MAX),
        Field(description="`model` or `provider/model`"),
    ]


class AliasReference(ApiModel):
    """One alias."""

    alias: Name


class AliasOut(ApiModel):
    """An alias; without a model, it stands for the recommended one."""

    alias: str
    model: str | None


class Aliases(ApiModel):
    """All aliases of the organization, and the built-in ones that it has not replaced."""

    aliases: list[AliasOut]


def list_aliases(call: ApiCall, _query: NoParameters) -> Aliases:
    """The aliases by name."""
    own = aliases.targets_of(call.principal.organization_id)
    known: dict[str, str | None] = {**dict.fromkeys(BUILT_IN), **own}
    return Aliases(aliases=[AliasOut(alias=name, model=known[name]) for name in sorted(known)])


def set_alias(call: ApiCall, payload: AliasIn) -> AliasOut:
    """Create an alias, or change its model, which must be known."""
    check_target(payload.model)
    try:
        alias = aliases.set_alias(
            organization_id=call.principal.organization_id,
            name=payload.alias,
            target=payload.model,
            actor=call.principal.actor,
        )
    except aliases.TooManyAliasesError as error:
        raise ApiError(400, "invalid_request", str(error), param="alias") from None
    return AliasOut(alias=alias.name, model=alias.target)


def remove_alias(call: ApiCall, payload: AliasReference) -> Removed:
    """Remove an alias. A built-in one of the same name applies again."""
    principal = call.principal
    removed = aliases.remove_alias(organization_id=principal.organization_id, name=payload.alias, actor=principal.actor)
    return Removed(removed=int(removed))


aliases_endpoint = Endpoint(
    {
        ("GET", None): Operation(list_aliases, "chat:write", NoParameters, Aliases, "List aliases of models"),
        ("POST", "set"): Operation(set_alias, "alias:write", AliasIn, AliasOut, "Create or change an alias"),
        ("POST", "remove"): Operation(remove_alias, "alias:write", AliasReference, Removed, "Remove an alias"),
    }
)
