"""Sample values for the request types of the official SDKs."""

from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Required, TypeVar, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

SCALARS: dict[type, Any] = {str: "a", int: 1, float: 0.5, bool: True, object: "b", NoneType: None}
NESTED_MAX = 6


def parameters_of(typed_dict: Any) -> dict[str, Any]:
    """Name -> annotation of each parameter."""
    return {name: _bare(hint) for name, hint in get_type_hints(typed_dict).items()}


def samples(annotation: Any, depth: int = 0) -> list[Any]:
    """One value for each member of a union except None, and one value for any other type."""
    annotation = _bare(annotation)
    if get_origin(annotation) in {Union, UnionType}:
        return [value for member in get_args(annotation) if member is not NoneType for value in samples(member, depth)]
    if _is_array(annotation):
        return [[value] for value in samples((*get_args(annotation), str)[0], depth + 1)]
    return [_sample(annotation, depth)]


def _is_array(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    if is_typeddict(kind) or kind is str or not isinstance(kind, type):
        return False
    return issubclass(kind, Iterable) and not issubclass(kind, Mapping)


def _sample(annotation: Any, depth: int) -> Any:
    origin, inner = get_origin(annotation), get_args(annotation)
    if is_typeddict(annotation):
        hints = get_type_hints(annotation)
        return {} if depth > NESTED_MAX else {name: samples(hint, depth + 1)[0] for name, hint in hints.items()}
    if origin is Literal:
        return inner[0]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"k": samples(inner[1], depth + 1)[0]}
    return SCALARS.get(annotation, "a")


def _bare(annotation: Any) -> Any:
    """Without markers such as Required and Annotated."""
    while get_origin(annotation) in {Required, Annotated} or isinstance(annotation, TypeVar):
        annotation = get_args(annotation)[0] if get_args(annotation) else object
    return annotation
