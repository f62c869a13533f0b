"""Compares symbols that embedders ignore: emoji, flags, arrows, operators, command options.

Both texts must have the same symbols in the same order. Punctuation, markup, bullets, and currency and percent signs
next to numbers (see `quantities`) are ignored.
"""

import re
import unicodedata

from cache_app.guards.objection import Objection, differs, only_one

ONE_FORM = str.maketrans(
    dict.fromkeys("\u00d7\u22c5\u2219", "*")
    | dict.fromkeys("\u00f7\u2215\u2044", "/")
    | dict.fromkeys("\u2212\u2010", "-")
    | {"≠": "!=", "≤": "<=", "≥": ">="}
    | dict.fromkeys("™©®", "")
)
"""Unifies symbols before compatibility characters are decomposed ("≠" would become "=")."""
EMPHASIS = re.compile(r"(?<!\S)(\*{1,3}|_{1,3})(?=[^\s*_])([^*_\n]{1,200})\1(?=[\s.,;:!?)]|$)")
LINE_START = re.compile(r"^[ \t]*(?:[-*+•]|#{1,6}|>)[ \t]+", re.MULTILINE)
ANSWER_SIGN = re.compile(r"(?<![<>=!])\s*(?<![<>=!])=\s*\??\s*$")
FOOTNOTE = re.compile(r"(?<=[\w?.!])\s?\*+(?=[).,?!\s]*$|[).,?!]\s|\)$)")
OPTION = re.compile(r"(?<!\S)-{1,2}[^\W\d_][\w-]*")
FACE = re.compile(r"(?<!\w)[:;=8]['\u2019]?-?[()\[\]DPpOo/\\|*3](?!\w)")
LONE = re.compile(
    r"(?<=[^\W_] )(?:[?!:;.$|]{2,}|[:;])(?= [^\W_])|\$[?!@#*$]|(?<=\b\w)'+(?=\()|(?P<quote>['\"])\s+(?P=quote)"
)
"""Punctuation that stands for itself: between blanks, in a variable of a shell, as a prime, around a number."""
CODE = re.compile(
    r"\\[^\W\d_](?![^\W\d_])|(?<!\S)%[^\W\d_](?![^\W\d_])|</?[^\W\d_]\w*|(?<!\S)\.{1,2}(?=[\s/])|[<>=*+\\|^~@#${}\[\]]|(?<![^\W_])_|_(?![^\W_])|(?<=\w)_(?=\w)|(?<![^\W_])/"
    r"|&&|::|!(?=[\w(=])|\?(?=[\w.:?]\S)|(?<=[(,=] )-(?=\w)|(?<=\w)-{2}|-(?=>)|;(?=\s*[\w}])(?<=[\w)\]];)"
)
SILENT = frozenset("°º`\u00b4¨\u02ca\u02cb¯\u00b8\u2032\u2033\u2034%&")
"""Symbols that don't change the meaning."""
HINT = re.compile(r"[^\w\s.,;?!'\"()%&:-]|_|--|\s-|\s\.|::|&&|;|:\S|[!?]\S|%[^\W\d_]|\s[:;]\s|\$|\w'+\(|'\s+'|\"\s+\"")


def take_symbols(text: str) -> tuple[str, ...]:
    """The symbols of a text in order, without markup. Quantities, dates, and codes must already be removed."""
    if not HINT.search(text):
        return ()
    text = ANSWER_SIGN.sub("", LINE_START.sub("", EMPHASIS.sub(r"\2", text)))
    text = FOOTNOTE.sub("", text) if text.count("*") == 1 else text
    found = [(match.start(), match[0]) for pattern in (OPTION, FACE, LONE, CODE) for match in pattern.finditer(text)]
    found += [(at, sign) for at, sign in enumerate(text) if _is_sign(sign)]
    return tuple(sign for _, sign in sorted(set(found)))


def _is_sign(sign: str) -> bool:
    """Whether a character beyond ASCII is a symbol, a joiner of emoji, a tag or a mark around a character."""
    if sign.isascii() or sign in SILENT:
        return False
    kind = unicodedata.category(sign)
    return kind[0] == "S" or kind in ("Me", "Co", "Cn") or (kind == "Cf" and sign not in "\u200c\u200d")


def object_to_symbols(asked: tuple[str, ...], cached: tuple[str, ...]) -> Objection | None:
    """Object at the first difference between symbols."""
    if asked == cached:
        return None
    at = next((n for n, (one, other) in enumerate(zip(asked, cached, strict=False)) if one != other), None)
    if at is not None:
        return differs("symbols", asked[at], cached[at])
    longer, shorter = sorted((asked, cached), key=len, reverse=True)
    return only_one("symbols", longer[len(shorter)])
