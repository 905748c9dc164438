"""Text from strangers, made safe to show and to hand to a model.

Takes out what hides or acts: control characters, terminal escapes, direction overrides, invisible characters.
Spec: Unicode 16, Default_Ignorable_Code_Point; of its variation selectors one after a visible character stays,
for emoji are written with it, and rows of them, which can carry any text, go.
"""

import re
from typing import Final

_ESCAPES: Final = re.compile(
    # Strings up to their terminator (titles, links, device control), then CSI, then the short ones.
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]"
)
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # direction marks, embeddings, overrides, isolates
    "\u00ad\u034f\u180b-\u180f\u200b-\u200d\u2060-\u2065\ufeff"  # of no width
    "\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # fillers: letters that are not drawn
    "\u2028\u2029"  # line ends that are none to us
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # marks of annotation, shorthand and music
    "\U000e0000-\U000e0fff]"  # tags, which are ASCII that no one sees, and more variation selectors
)
_SELECTORS: Final = re.compile("(?<=[\ufe00-\ufe0f])[\ufe00-\ufe0f]+")
"""Of a row of variation selectors all but the first."""


def clean_text(text: str, limit: int) -> str:
    """`text` without what hides or acts, cut to `limit` bytes of UTF-8 at a character's edge."""
    if not (text.isascii() and text.isprintable()):
        text = _SELECTORS.sub("", _HIDDEN.sub("", _ESCAPES.sub("", text)))
    if len(text) * 4 <= limit:
        return text
    # What the byte limit cannot hold need not be encoded either.
    return text[:limit].encode(errors="replace")[:limit].decode(errors="ignore")
