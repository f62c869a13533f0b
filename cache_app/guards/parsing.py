"""Parses a text once for all guards: times, codes, numbers, terms, names, negations."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cache_app.guards.bounds import take_bounds
from cache_app.guards.codes import take_codes
from cache_app.guards.dates import Date, take_dates
from cache_app.guards.fractions import with_decimals
from cache_app.guards.quantities import Quantity, take_quantities
from cache_app.guards.questions import question_of
from cache_app.guards.stems import stem
from cache_app.guards.symbols import ONE_FORM, take_symbols
from cache_app.guards.tables import phrases, small_words, terms, words
from cache_app.visible_text import visible_text

PARSED_KEPT = 4096
LONGEST = 2_000
"""Maximum characters to compare, more than an embedder reads. Longer texts are only served if identical."""
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts without spaces between words, or with particles at word ends: each character counts as a word."""
SIGNED = "\u0900-\u0963\u0966-\u0dff"
"""Indic scripts: `re` doesn't treat their vowel signs as letters, although they distinguish words."""
WORD = re.compile(rf"[{UNSPACED}]|(?:[^\W_{UNSPACED}]|[{SIGNED}])+(?:['\u2019][^\W\d_]+)*(?:\+\+|#(?=\W|$))?|&")
IDLE = r"why not|whether or not|or not|not only|not sure|don['\u2019]?t mind|no longer than|no matter"
AUXILIARY = "do|does|did|is|are|was|were|has|have|had|should|could|would|must|might|may|need|dare|ought|ai"
CONTRACTED = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r"\bcan(?:['\u2019]t|not)\b|\bcant\b", "can not"),
        (r"\bwon['\u2019]?t\b", "will not"),
        (r"\bshan['\u2019]?t\b", "shall not"),
        (r"\b((?:any|every)(?:one|body|thing|where)|all) but\b", r"\1 except"),
        (r"\bfree (?:of|from)\b(?! (?:charge|cost))", "without"),
        (r"\b(have|has|had|are|is|was|were) yet to\b", r"\1 not"),
        (rf"\b({AUXILIARY})n['\u2019]?t\b", r"\1 not"),
        (r"['\u2019](?:s|re|ve|d|ll|m)\b", ""),
        (rf"\b(?:{IDLE})\b", ""),
        (r"\bdo not know\b", ""),
    )
)
AMERICA = re.compile(r"\bU\.?S\.?(?:A\.?)?(?!\w)")
SHORT_ASIDES = (
    (re.compile(r"\bi\.\s?e\b\.?", re.IGNORECASE), " namely "),
    (re.compile(r"\be\.\s?g\b\.?|\bfor (?:example|instance)\b", re.IGNORECASE), " instance "),
    (re.compile(r"^\W*good (?:morning|afternoon|evening|day)\b", re.IGNORECASE), " "),
)
"""Latin short forms, and greetings that name a time of day."""
CONTRACTION_HINT = re.compile(r"['\u2019]|nt\b|not\b|\bno\b|\b(?:yet|but|free)\b", re.IGNORECASE)
APOSTROPHE = re.compile("(?<=[^\\W\\d_])[\u00b4\u02b9\u02bc\u2018\u201b\u2032\uff07](?=[^\\W\\d_])|(?<=n)`(?=t\\b)")
"""Signs that keyboards have in place of an apostrophe."""
BLANKS = re.compile(r"[^\S\n]+")
BETWEEN_STATEMENTS = re.compile(r"[.!?;](?=\s|$)|[()\[\]{}\u2013\u2014\n]|\s-+\s")
INNER_WORD = re.compile(r"(?<=[\w,;:'\"()&/] )[^\W\d_][\w'\u2019]*|(?<=[(\"/])[^\W\d_][\w'\u2019]*")
PARTICLES = frozenset({"on", "off", "out", "up", "down", "over"})
PARTICLE_REACH = 5


@dataclass(frozen=True)
class Parsed:
    """A parsed text, as guards compare it. Terms are stems; listed phrases are joined into one term."""

    dates: frozenset[Date]
    codes: frozenset[str]
    quantities: tuple[Quantity, ...]
    bounds: frozenset[str]
    """What the numbers are: "at least", "every"."""
    sequence: tuple[str, ...]
    """All terms in order, including small words."""
    content: tuple[str, ...]
    """The terms that carry the subject."""
    names: frozenset[str]
    """Terms that are capitalized inside a sentence."""
    capitals: frozenset[str]
    """The names as written, in lowercase."""
    words: frozenset[str]
    """All words as written, in lowercase."""
    statements: tuple[tuple[str, ...], ...]
    """The content of each sentence and parenthesis, without polite phrases, if there are several."""
    negations: int
    question: str
    symbols: tuple[str, ...]
    text: str
    """The normalized text: no invisible characters, compatibility characters decomposed."""


@lru_cache(maxsize=PARSED_KEPT)
def parse(text: str) -> Parsed:
    """Parse any text. Results are cached for further candidates of the same question."""
    whole = plain_form(text)
    dates, rest = take_dates(whole)
    codes, rest = take_codes(rest)
    rest = with_decimals(rest)
    bounds = take_bounds(rest)
    quantities, rest = take_quantities(rest)
    symbols = take_symbols(rest)
    if CONTRACTION_HINT.search(rest):
        for pattern, instead in CONTRACTED:
            rest = pattern.sub(instead, rest)
    rest = AMERICA.sub("USA", rest)
    written = WORD.findall(rest)
    sequence = _sequence(written)
    capitals = _capitals(rest, written)
    return Parsed(
        dates=dates,
        codes=codes,
        quantities=quantities,
        bounds=bounds,
        sequence=sequence,
        content=_content(sequence),
        names=frozenset(map(stem, capitals)) - terms("stop"),
        capitals=capitals,
        words=frozenset(WORD.findall(whole.lower())),
        statements=_statements(rest),
        negations=sum(word.lower() in words("negations") for word in written),
        question=question_of(whole.lower()),
        symbols=symbols,
        text=whole,
    )


def plain_form(text: str) -> str:
    """Normalize equivalent signs, characters, and whitespace."""
    unified = APOSTROPHE.sub("'", visible_text(text)[:LONGEST].translate(ONE_FORM))
    whole = unicodedata.normalize("NFKC", unified)[:LONGEST]
    for pattern, instead in SHORT_ASIDES:
        whole = pattern.sub(instead, whole)
    return BLANKS.sub(" ", whole)[:LONGEST]


def _statements(text: str) -> tuple[tuple[str, ...], ...]:
    parts = [part for part in BETWEEN_STATEMENTS.split(text) if part.strip()]
    if len(parts) < 2:
        return ()
    contents = (_content(_sequence(WORD.findall(part))) for part in parts)
    return tuple(filter(None, (tuple(each for each in content if each not in terms("frames")) for content in contents)))


def _sequence(written: list[str]) -> tuple[str, ...]:
    return _joined([stem(word.lower()) for word in written])


def _content(sequence: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in sequence if _has_content(each))


def _has_content(each: str) -> bool:
    """Whether a phrase carries no subject: question phrases ("how many") and small words ("have to")."""
    return not each.startswith("how ") and not all(part in small_words() for part in each.split())


def _joined(stems: list[str]) -> tuple[str, ...]:
    """Join the words of listed phrases into one term, longest phrase first."""
    stems = _particles_to_verbs(stems)
    found, at = [], 0
    while at < len(stems):
        fitting = [each for each in phrases().get(stems[at], ()) if tuple(stems[at : at + len(each)]) == each]
        longest = max(fitting, key=len, default=(stems[at],))
        found.append(" ".join(longest))
        at += len(longest)
    return tuple(found)


def _particles_to_verbs(stems: list[str]) -> list[str]:
    """Rewrite "turn my water off" as "turn off my water" if the phrasal verb is listed."""
    moved = list(stems)
    for at, word in enumerate(stems):
        known = {each[1] for each in phrases().get(word, ()) if len(each) == 2} & PARTICLES
        place = next((n for n in range(at + 2, min(at + PARTICLE_REACH, len(moved))) if moved[n] in known), None)
        if place is not None and moved[at] == word and moved[at + 1] not in known and _ends_phrase(moved, place):
            moved.insert(at + 1, moved.pop(place))
    return moved


def _ends_phrase(stems: list[str], place: int) -> bool:
    return place + 1 == len(stems) or stems[place + 1] in terms("stop")


def _capitals(text: str, written: list[str]) -> frozenset[str]:
    """Capitalized words inside sentences. Empty for texts in capitals or title case."""
    capital = [word for word in INNER_WORD.findall(text) if word[0].isupper()]
    if len(capital) > 3 and len(capital) > 0.6 * len(written):
        return frozenset()
    return frozenset(re.sub(r"['\u2019]s?$", "", word).lower() for word in capital)


def unframed(sequence: Sequence[str]) -> Sequence[str]:
    """Strip articles, and polite phrases at both ends."""
    bare = [word for word in sequence if word not in terms("determiners")]
    inner = [at for at, word in enumerate(bare) if word not in terms("frames")]
    return bare[inner[0] : inner[-1] + 1] if inner else bare


def edited(asked: Parsed, cached: Parsed) -> tuple[Sequence[str], Sequence[str]]:
    """The parts between the equal beginnings and ends, ignoring articles and polite phrases."""
    one, other = unframed(asked.sequence), unframed(cached.sequence)
    shorter = min(len(one), len(other))
    start = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    end = next((at for at in range(shorter - start) if one[-1 - at] != other[-1 - at]), shorter - start)
    return one[start : len(one) - end], other[start : len(other) - end]
