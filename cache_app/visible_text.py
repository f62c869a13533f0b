"""Removes characters that are invisible and change nothing.

Word processors and web pages leave zero-width spaces, soft hyphens, byte order marks and direction marks in pasted
text. They are removed before a text is compared, embedded or hashed; the provider gets the text unchanged.

Three kinds stay because they carry meaning: joiners inside emoji and inside words of scripts that join their letters
(Arabic, Persian, the scripts of India, Mongolian), where they can change the word; tag characters, which spell the
flags of regions and can smuggle instructions that a model reads; and variation selectors of ideographs.
"""

import re

_JOINING = "\u0600-\u07ff\u0840-\u085f\u08a0-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc"
_PICTURES = "\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff\ufe0f"
_IDLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe0e\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
_CONTROLS = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
_IDLE_JOINER = re.compile(
    rf"(?<![{_JOINING}{_PICTURES}])[\u200c\u200d]+|[\u200c\u200d]+(?![{_JOINING}{_PICTURES}\u200c\u200d])"
)
_UNSEEN = re.compile(f"[{_IDLE}{_CONTROLS}]")


def visible_text(text: str) -> str:
    """The text without invisible characters that carry no meaning. Linear in its length."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub("", _IDLE_JOINER.sub("", text))
