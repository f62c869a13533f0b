"""Decides whether the answer to one text may be served for another, by the threshold and the guards."""

import logging
from dataclasses import dataclass

from cache_app.embedding.base import Scale
from cache_app.guards.difference import difference
from cache_app.guards.language import UNKNOWN, common_language, with_frames
from cache_app.guards.layout import object_to_layout
from cache_app.guards.objection import REASON_LENGTH, Objection
from cache_app.guards.parsing import LONGEST, Parsed, parse
from cache_app.guards.strict import object_strictly
from cache_app.guards.vetoes import veto, veto_foreign

logger = logging.getLogger(__name__)

FOREIGN_MARGIN = 0.05
"""Added to threshold and `clear` if there are no word lists for the texts' language."""
NO_WORDS = "no word lists for this language, so only exact matches are served"
HIGHEST_BAR = 0.99
"""Margins don't raise a bar above this. A higher bar that an organization has set is not lowered."""


@dataclass(frozen=True)
class Verdict:
    """Whether to serve a candidate, and why."""

    serve: bool
    rule: str
    """The rule that allows it: "clear" or "strict" ("head" is reserved for a learned head). "" if refused."""
    guard: str
    """The guard that objected: "numbers", "dates", "codes", "symbols", "spelling", "negation", "antonyms", "entities",
    "order", "strict", "addition", "wording", "language", "threshold", "error"; "" if none.
    """
    reason: str
    """The reason shown to users, at most 200 characters."""


def decide(
    asked: str,
    cached: str,
    similarity: float,
    threshold: float,
    scale: Scale,
    *,
    any_language: bool = False,
) -> Verdict:
    """Judge one candidate. Accepts any text and never raises: a candidate that breaks a guard is refused and logged.

    The order of the texts only matters for additions, because an addition in the cached text may have steered its
    answer.

    Above `scale.clear`, a candidate is served unless a guard objects. Between threshold and `clear`, the strict rules
    must not object either. `any_language` also compares texts in languages without word lists.
    """
    try:
        return _decided(asked, cached, similarity, threshold, scale, any_language=any_language)
    except Exception:
        logger.exception("a guard failed, and the candidate was refused")
        return _refused(Objection("error", "a guard failed while comparing these texts"))


def _decided(
    asked: str, cached: str, similarity: float, threshold: float, scale: Scale, *, any_language: bool
) -> Verdict:
    if similarity < min(threshold, scale.near):
        return _refused(_too_low(similarity, threshold))
    if asked != cached and max(len(asked), len(cached)) > LONGEST:
        return _refused(Objection("strict", f"more than {LONGEST} characters, which is too long to compare"))
    if objection := object_to_layout(asked, cached):
        return _refused(objection)
    one, other = parse(asked), parse(cached)
    language = common_language(one.text, other.text)
    if one.text != other.text and language == UNKNOWN and not any_language:
        return _refused(Objection("language", NO_WORDS))
    return _judged(one, other, similarity, _bars(language, threshold, scale), language)


def _judged(one: Parsed, other: Parsed, similarity: float, bars: tuple[float, float], language: str) -> Verdict:
    threshold, clear = bars
    objection = _vetoed(one, other, language) if one.text != other.text else None
    if objection is None and similarity < threshold:
        objection = _too_low(similarity, threshold)
    if objection:
        return _refused(objection)
    if language in with_frames():
        return Verdict(True, "clear", "", f"similarity {similarity:.2f}, no guard objects")
    return _unvetoed(one, other, similarity, max(clear, threshold))


def _vetoed(one: Parsed, other: Parsed, language: str) -> Objection | None:
    if language in with_frames():
        return veto_foreign(one, other, language)
    return veto(one, other, difference(one, other))


def _unvetoed(one: Parsed, other: Parsed, similarity: float, clear: float) -> Verdict:
    """The verdict on texts without a veto that are similar enough."""
    if similarity >= clear:
        return Verdict(True, "clear", "", f"similarity {similarity:.2f}, no guard objects")
    objection = object_strictly(one, other, difference(one, other))
    if objection:
        return _refused(objection)
    return Verdict(True, "strict", "", f"similarity {similarity:.2f}, no guard or strict rule objects")


def _bars(language: str, threshold: float, scale: Scale) -> tuple[float, float]:
    """The threshold and the clear bar for a language."""
    if language != UNKNOWN:
        return threshold, scale.clear
    return max(threshold, min(threshold + FOREIGN_MARGIN, HIGHEST_BAR)), min(scale.clear + FOREIGN_MARGIN, HIGHEST_BAR)


def _too_low(similarity: float, threshold: float) -> Objection:
    return Objection("threshold", f"similarity {similarity:.2f} is below the threshold of {threshold:.2f}")


def _refused(objection: Objection) -> Verdict:
    return Verdict(False, "", objection.guard, objection.reason[:REASON_LENGTH])
