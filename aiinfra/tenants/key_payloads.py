"""What `/api/ai/keys` takes and returns."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from aiinfra.api import WHOLE_FLOATS, ApiModel
from aiinfra.names import HIDDEN, TAG_LENGTH, check_visible
from aiinfra.tenants.key_access import MODEL_PATTERN, MODELS_MAX, TAGS_MAX
from aiinfra.tenants.key_limits import CONCURRENT_MAX, DOLLARS_MAX, NETWORKS_MAX, REQUESTS_MAX, TOKENS_MAX
from aiinfra.validation import Moment
from aiinfra.webhook_urls import SCHEMA

Door = Literal["chat", "queue", "chat_completions", "responses", "messages", "embeddings"]
PriorityName = Literal["low", "normal", "high", "critical"]
KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{8}$"), Field(description="the key's public id")]


def _positive(amount: str) -> str:
    if not 0 < Decimal(amount) <= DOLLARS_MAX:
        raise ValueError(f"An amount must be more than 0 and at most {DOLLARS_MAX}.")
    return amount


DollarsPerMinute = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,7}(\.[0-9]{1,9})?$"),
    AfterValidator(_positive),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(0?[0-9]{1,6}(\.[0-9]{1,9})?|1000000(\.0{1,9})?)$",
            "allOf": [{"pattern": "[1-9]"}],
            "description": f"US dollars, more than 0 and at most {DOLLARS_MAX}",
        }
    ),
]


class LimitsModel(ApiModel):
    """What a key may do per minute, and from where; null is no limit of the key's own."""

    requests_per_minute: Annotated[int, Field(ge=1, le=REQUESTS_MAX), WHOLE_FLOATS] | None = None
    concurrent_requests: Annotated[int, Field(ge=1, le=CONCURRENT_MAX), WHOLE_FLOATS] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1, le=TOKENS_MAX), WHOLE_FLOATS] | None = None
    dollars_per_minute: DollarsPerMinute | None = None
    allowed_networks: Annotated[
        list[str], Field(max_length=NETWORKS_MAX, description="addresses and CIDR networks; empty: anywhere")
    ] = []


class KeysQuery(ApiModel):
    """Where the page starts."""

    cursor: str = ""


class KeyLimitsIn(LimitsModel):
    """All limits of a key: what is left out has none."""

    key_id: KeyId


Tag = Annotated[str, StringConstraints(min_length=1, max_length=TAG_LENGTH, pattern=r"^[^,\n]*[^,\s][^,\n]*$")]
VISIBLE_TAG = {
    "type": "string",
    "minLength": 1,
    "maxLength": TAG_LENGTH,
    "pattern": f"^[^,{HIDDEN}]*$",
    "allOf": [{"pattern": r"\S"}],
}


class AccessModel(ApiModel):
    """Which models and endpoints a key may use, and what its calls have if they don't say. Empty: all, or none."""

    allowed_models: Annotated[
        list[Annotated[str, StringConstraints(pattern=MODEL_PATTERN)]],
        Field(max_length=MODELS_MAX, description="names, also with `*` or with the provider; empty: all"),
    ] = []
    allowed_endpoints: Annotated[list[Door], Field(description="endpoints that may send calls; empty: all")] = []
    default_tags: Annotated[list[Tag], Field(max_length=TAGS_MAX, description="added to the tags of each call")] = []
    default_priority: Annotated[PriorityName | None, Field(description="of calls that name none; null: normal")] = None


class KeyAccessIn(AccessModel):
    """All access rules of a key: what is left out has none."""

    key_id: KeyId
    default_tags: Annotated[
        list[Annotated[Tag, AfterValidator(check_visible), WithJsonSchema(VISIBLE_TAG)]],
        Field(max_length=TAGS_MAX, description="added to the tags of each call"),
    ] = []


class KeyWebhookIn(ApiModel):
    """The webhook of a key's requests."""

    key_id: KeyId
    url: Annotated[Annotated[str, WithJsonSchema(SCHEMA)] | None, Field(description="an https URL; null: none")]


class KeyReference(ApiModel):
    """Names a key."""

    key_id: KeyId


class WebhookSecretOut(ApiModel):
    """A new signing secret; no other answer has it."""

    key_id: str
    webhook_secret: str


class KeyExpiryIn(ApiModel):
    """When a key ends."""

    key_id: KeyId
    expires_at: Annotated[Moment | None, Field(description="null: never")]


class KeyOut(LimitsModel, AccessModel):
    """A key without its secret."""

    key_id: str
    name: str
    role: str
    scopes: list[str]
    webhook_host: Annotated[str | None, Field(description="host of the webhook for the end of requests")]
    has_webhook_secret: Annotated[bool, Field(description="whether the key has its own webhook signing secret")]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyPage(ApiModel):
    """Some keys, newest first; `nextCursor` is null at the end."""

    keys: list[KeyOut]
    next_cursor: str | None
