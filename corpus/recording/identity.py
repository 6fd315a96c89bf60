"""What identifies a person in a header, and how it is removed from everything that leaves it."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from itertools import pairwise
from typing import Any

MAX_AGE_YEARS = 90  # older ages identify a person (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C))
REMOVED = "[removed]"

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = f"(?:{'|'.join(_MONTHS)})[a-z]*"
_DATE = (
    rf"(?<!\d)\d{{1,2}}[-. /]{_MONTH}[-. /,]*\d{{2,4}}|{_MONTH}[. ]+\d{{1,2}}(?:st|nd|rd|th)?,?[ ]+\d{{4}}"
    r"|(?<!\d)\d{1,2}[-./]\d{1,2}[-./]\d{2,4}(?!\d)|(?<!\d)(?:19|20)\d\d[-./]\d{1,2}[-./]\d{1,2}(?!\d)"
    r"|(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"
)
STATED_AGE = r"\bage\W{0,2}(\d{1,3})\b"
_ORDINARY = re.compile(
    "startdate|anonym.*|patient|subject|unknown|unnamed|none|male|female|age|the|and|for|eeg|ecg|ekg|eog|emg|ref|avg|pol"
    "|resp|edf|bdf|c?le|c?ar|av|eyes|open|closed|rest|event|hospital|clinic|department|doctor|dr|mr|mrs"
    "|recordings?|sessions?|visit|run|task|data|files?|raw|signals?|seizures?|sleep|baseline|control",
    re.IGNORECASE,
)
ELECTRODE_LIKE = re.compile(  # of the 10-05 system, "EEGFp1" as well
    r"(?:(?<![a-z])|(?<=eeg)|(?<=pol))(?:fp|afp|aff?|ff?[ct]?|fcc|ftt|t|ttp|tpp?|c|ccp|cpp?|p|ppo|poo?|oi?|i|a|m)"
    r"(?:z|\d{1,2})h?(?![a-z\d])",
    re.IGNORECASE,
)


def scrubber(identity: Iterable[str]) -> Any:
    """A function that replaces dates, and the words of the `identity` texts, by "[removed]".

    Words of four letters or more are found inside longer words too ("JaneDoe"); shorter ones only whole. Ordinary words
    ("patient"), single characters, numbers below 100 and electrode names are not identity.
    """
    words: set[str] = set()
    for text in identity:
        plain = re.sub(f"{_DATE}|{STATED_AGE}", " ", text, flags=re.IGNORECASE)
        parts = [part for part in re.split(r"[\W_]+", plain) if len(part) > 1 or _is_ideograph(part)]
        parts = [p for p in parts if not _ORDINARY.fullmatch(p) and not ELECTRODE_LIKE.fullmatch(p)]
        words.update(part for part in parts if len(part) > 2 or not part.isdigit())
        words.update(a + b for pair in pairwise(parts) for a, b in (pair, pair[::-1]))
    words |= {"".join(c for c in unicodedata.normalize("NFKD", w) if not unicodedata.combining(c)) for w in words}
    patterns = [_DATE]
    for word in sorted(words, key=len, reverse=True):
        whole = len(word) < 4 and not _is_ideograph(word)
        left = r"(?<!\d)" if word[0].isdigit() else r"(?<![^\W_])" if whole else ""
        right = r"(?!\d)" if word[-1].isdigit() else r"(?![^\W_])" if whole else ""
        patterns.append(left + re.escape(word) + right)
    pattern = re.compile("|".join(patterns), re.IGNORECASE)
    return lambda text: pattern.sub(REMOVED, text)


def _is_ideograph(word: str) -> bool:
    """A script without letter case, where one sign can be a name and words are not separated."""
    return bool(word) and unicodedata.category(word[0]) == "Lo"


def find_date(text: str) -> date | None:
    """The first dd-MMM-yyyy in a header field (English months, whatever the locale)."""
    found = re.search(rf"(?<!\d)(\d{{1,2}})-({'|'.join(_MONTHS)})-(\d{{4}})", text, re.IGNORECASE)
    try:
        return found and date(int(found[3]), _MONTHS.index(found[2].lower()) + 1, int(found[1]))
    except ValueError:
        return None


def age_years_at(birth: date | None, recorded: date | None) -> int | None:
    """Whole years, capped at 90; None where a date is missing or the result is not an age."""
    if birth is None or recorded is None:
        return None
    years = recorded.year - birth.year - ((recorded.month, recorded.day) < (birth.month, birth.day))
    return min(years, MAX_AGE_YEARS) if 0 <= years <= 120 else None
