"""Wordings that were removed from the product's texts stay out: each pattern has the wording to use instead."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SUFFIXES = {".py", ".html", ".md", ".js", ".css", ".txt"}
EVERYWHERE = ("aiinfra", "cost_app", "queue_app", "cache_app", "templates", "docs", "static", "benchmarks", "README.md")
"""Where the patterns of `GONE` must not occur."""
REWRITTEN = ("aiinfra", "cost_app", "queue_app", "cache_app", "templates", "static", "benchmarks", "tests")
"""Where the patterns of `WORDS` must not occur. Add a folder once its texts have been rewritten."""

# Lowercase regular expressions, and what to use instead.
GONE = (
    (r"\bat work in\b", "working in"),
    (r"\bgives no answer\b", "does not answer"),
    (r"\bis used to \d", "…% of … is used"),
    (r"\blet it pass\b", "allow"),
    (r"\bnobody has to think\b", "nobody has to configure"),
    (r"\bpeak, say\b", "for example, peak"),
    (r"\bwould be usual\b", "the usual cost is"),
    (r"\braised? (the limit )?for a while\b", "temporarily"),
    (r"\bchosen ones\b|\b(cancel|retry|acknowledge) chosen\b", "selected"),
    (r"\bdoes not open (this page|prompts)\b", "cannot open, cannot view"),
    (r"\bmoney by itself\b", "direct saving"),
    (r"\bshows? up here\b", "appears here"),
    (r"\bto the newest\b", "view the newest"),
    (r"\bre-pric(e|es|ed|ing)\b", "reprice"),
    (r"\b(redis|postgresql|server|supervisor|database) (does not|doesn't|did not) answer\b", "is not responding"),
    (r"\byou may not do this\b", "you don't have permission to do this"),
    (r"\bthat did not work\b", "something went wrong"),
    (r"\b(colours?|coloured|neighbours?|normalised)\b", "color, neighbor, normalized"),
    (r"\u2019", "a straight apostrophe"),
    (r"[“”]", "straight quotation marks"),
    (r"[0-9}] %(?=[.,;:)<\"\n]| [/|]| (of|in|at|with|to|or|and|for|on|above|below|spent)\b)", "85%, without a space"),
)
WORDS = (
    (r"\banew\b", "again"),
    (r"\bis told\b", "is notified, is shown"),
    (r"\bfrom (now|then) on\b", "now; drop it"),
    (r"\bfrom the moment\b", "when"),
    (r"\bwhat waits\b", "pending"),
    (r"\bwhat (is|was) asked\b", "the request"),
    (r"\bas it is(?! reported)\b", "unchanged"),
    (r"\b(calls|requests|checks|tokens|tries|questions) an? (second|minute|hour|day)\b", "per"),
    (r"\bthere is no such\b", "unknown"),
    (r"\bunder way\b", "in progress"),
    (r"\bholds? (at once|from|for all)\b", "applies immediately, applies from"),
    (r"\blook-ups?\b", "lookup"),
    (r"\blog-ins?\b", "login"),
    (r"\be-mails?\b", "email"),
    (r"\bhas been cleaned up\b", "was deleted by retention"),
    (r"\b(he|his|him)\b", "they, their, them"),
    (r"\bwhat people fill in\b", "forms"),
    (r"\bmakes? (no )?sense\b", "valid, invalid"),
    (r"\bsomebody\b", "someone, another person"),
    (r"\bthe running (month|period|window)\b", "current"),
    (r"\bdid not pass through here\b", "made outside aiinfra"),
    (r"\bdearer\b", "more expensive"),
    (r"\bmeanwhile\b", "in the meantime"),
    (r"\bis a member already\b", "is already a member"),
    (r"\bnot a member any more\b", "no longer a member"),
    (r"\btells? of\b", "report"),
    (r"\bthe most that\b", "the maximum"),
    (r"\bwhat came of\b", "the result of"),
    (r"\bboth (ends )?included\b", "inclusive"),
    (r"\bbeyond reading\b", "unreadable"),
    (r"\bhe who\b|\bwho wants to have\b", "someone who"),
    (r"\b(kept|held) in the line\b|\bleaves the line\b", "queued, dequeued"),
    (r"\bnone (parts|tells)\b|\btells nothing\b", "distinguish"),
    (r"\bfor (staff|people) to read\b", "read-only"),
    (r"\bso (many|long) (calls|tokens|days|hours|seconds)\b", "this many"),
)
ON_PAGES = (
    (r"\bcannot\b", "can't"),
    (r"\bat once\b", "immediately"),
)
"""What must not occur in texts that people read on pages, besides the others."""
EXCEPTIONS = {
    "aiinfra/demo/questions.py": {"“", "”"},
    "cache_app/guards/identifiers.py": {"“"},
    "cache_app/guards/layout.py": {"“", "”"},
    "cache_app/guards/spelling.py": {"“", "”"},
    "cache_app/eligibility.py": {"he"},
    "cache_app/guards/stems.py": {"colour"},
    "tests/browser/test_cache.py": {"somebody"},
    "tests/cache_app/guards/test_writing.py": {"he"},
    "tests/cache_app/test_poisoning.py": {"e-mail", "from now on"},
    "tests/cost_app/fallback/test_chains.py": {"dearer"},
    "tests/gateway/test_chat_direct.py": {"what waits"},
    "tests/gateway/test_events_resumed.py": {"meanwhile"},
    "tests/security/test_further_attacks.py": {"somebody"},
}
"""By path: words that the file needs as data."""
NOT_OUR_TEXTS = ("cache_app/guards/words/", "tests/browser/axe-core/", "tests/test_wording.py")
"""Word lists, a third-party library, and the patterns of this module."""


def texts(*places: str) -> dict[str, str]:
    """The lowercase text of every file in these places."""
    files = [path for place in places for path in [ROOT / place, *(ROOT / place).rglob("*")] if path.suffix in SUFFIXES]
    found = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").lower() for path in files}
    return {path: text for path, text in found.items() if not path.startswith(NOT_OUR_TEXTS)}


@pytest.mark.parametrize(
    ("places", "words"),
    [(EVERYWHERE, GONE), (REWRITTEN, WORDS), (("templates",), ON_PAGES)],
    ids=["everywhere", "where rewritten", "on pages"],
)
def test_removed_wordings_stay_out(places: tuple[str, ...], words: tuple[tuple[str, str], ...]) -> None:
    found = texts(*places)
    assert len(found) > len(places)
    used = [
        f"{path}: {match.group()!r}; use: {instead}"
        for path, text in found.items()
        for pattern, instead in words
        for match in re.finditer(pattern, text)
        if match.group() not in EXCEPTIONS.get(path, ())
    ]
    assert used == []


FOR_OPERATORS = (
    "aiinfra/configuration",
    "aiinfra/demo",
    "aiinfra/providers/sandbox",
    "aiinfra/providers/usage",
    "aiinfra/sqlite",
    "aiinfra/stack",
    "aiinfra/tenants/row_security.py",
    "cache_app/embedding",
    "cache_app/index",
    "cache_app/store",
    "cost_app/finance",
    "queue_app/archive",
    "queue_app/caching/warm_file.py",
    "queue_app/management",
    "queue_app/packing.py",
)
"""Errors of commands, of settings, and of files, which are shown after a name or a place."""
INTERNAL = re.compile(
    r"(Assertion|Attribute|Command|Connect|Data|DoesNotExist|Field|Integrity|Key|Lookup|MultipleObjectsReturned"
    r"|NoOrganization|Operational|PydanticCustom|Runtime|Type|Unpicklable|Usage)(Error)?$|Egress|AnswerTooLarge|Timeout"
)
"""Errors of the program, which no client sees, and those of commands."""


LIKE_PYDANTIC = ("Input should", "Field required", "String should", "Array should", "Extra inputs")
"""Pydantic's words, which `aiinfra.validation` replaces in its messages."""


def literals(node: ast.expr) -> Iterator[str]:
    """The texts that an argument can be, with `{}` for each part that is computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def error_messages(source: str) -> Iterator[str]:
    """The texts of more than one word that a module's errors are made with."""
    for node in ast.walk(ast.parse(source)):
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name.endswith(("Error", "problem")) and not INTERNAL.search(name):
            arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
            yield from (text for each in arguments for text in literals(each) if " " in text)


def is_sentence(message: str) -> bool:
    """Whether it begins with a capital letter, a name, or something computed, and ends with a period or a detail."""
    is_name = re.match(r"[a-z]+([A-Z_/-]|\s?=)", message) is not None
    return (not message[0].islower() or is_name) and message.rstrip().endswith((".", "?", "!", "{}"))


def test_messages_of_errors_are_sentences() -> None:
    """Clients and people read them beside others."""
    paths = [path for app in ("aiinfra", "cost_app", "queue_app", "cache_app") for path in (ROOT / app).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    shown = {
        path: text for path, text in found.items() if not path.startswith(FOR_OPERATORS) and "/migrations/" not in path
    }
    wrong = [
        f"{path}: {message}"
        for path, source in sorted(shown.items())
        for message in error_messages(source)
        if not is_sentence(message) or message.startswith(LIKE_PYDANTIC) or " cannot " in message
    ]
    assert wrong == []
    assert not is_sentence("the request has ended") and not is_sentence("The request has ended")
