r"""What surrounds an answer and what it says in words: marks, sentences, qualifiers, number words, names of sets.

`bare` comes before `normalize` reads the mathematics: it returns the same answer without the marks and
with words replaced where a word has exactly one meaning in mathematics. What it does not know it leaves alone, so that
the words remain visible to the comparison, which then does not decide.
"""

from __future__ import annotations

import re
from fractions import Fraction

# Without a word, a mark or a sign that begins a phrase there is nothing to do.
_ANYTHING = re.compile(
    r"(?<![\\a-zA-Z])[A-Za-z]{2,}|\\(?:text|math|color|mbox|therefore|approx|thicksim|Right|implies|square|"
    r"blacksquare|qed|check|in(?![a-z]))|\\\$|[#*`'_<>:=≈∴⇒✓✔✅□■∎，；\u4e00-\u9fff]"
)
_END_OF_PROOF = re.compile(r"(?:\s|\\[ ,;!]|\\(?:square|blacksquare|qed|checkmark)(?![a-z])|[□■∎✓✔✅])+$|^[✓✔✅]\s*")

# pattern → replacement; each pair of marks encloses the answer or a part of it
_MARKUP = [
    (re.compile(r"</?(?:b|i|u|em|strong|span|p|br|div|mark)(?:\s[^<>]*)?/?>", re.IGNORECASE), " "),
    (re.compile(r"<sup>([^<>]*)</sup>", re.IGNORECASE), r"^{\1}"),
    (re.compile(r"<sub>([^<>]*)</sub>", re.IGNORECASE), r"_{\1}"),
    (re.compile(r"(?<![\w)\]}!*])(\*{2,3})(?=[^\s*])([^*]*)(?<=[^\s*])\1(?![\w(\[{*])"), r"\2"),
    (re.compile(r"(?<![\w_])__(?=[^\s_])([^_]*)(?<=[^\s_])__(?![\w_])"), r"\1"),
    (re.compile(r"^\s*\*(?=[^\s*])([^*]*)(?<=[^\s*])\*\s*$"), r"\1"),
    (re.compile(r"^\s*_(?=[^\s_{])([^_]*)(?<=[^\s_])_\s*$"), r"\1"),
    (re.compile(r"`+([^`]*)`+"), r"\1"),
    (re.compile(r"^\s*[‘'](.*)['’]\s*$", re.DOTALL), r"\1"),
    (re.compile(r"\\(?:text|math)?color(?:box)?\s*(?:\[[^\[\]]*\])?\s*\{[^{}]*\}"), " "),
    (re.compile(r"\\\$(?=\S)([^$]*[^$\s\\])\\\$(?!\s*[\d.])"), r" \1 "),
]

_ANSWER = r"(?:final |correct |right )?(?:answer|result|ans|option|choice)"
_CUE = re.compile(
    rf"(?:^|(?<=[\s,.;:(]))(?:the |my |our )?{_ANSWER}(?: to (?:the|this) (?:problem|question))?"
    r"(?:\s*(?:is|are|was|equals|would be)(?![a-z])\s*:?|\s*[:=.])\s*|(?:最终)?答案?\s*(?:是|为|[:=])\s*[:=]?|^\s*(?:故?选项?|"
    r"(?:the |my )?(?:options?|choices?)(?![a-z]))\s*:?\s*(?=\(?[A-J](?![a-zA-Z]))",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"\s*(?:(?:so|thus|hence|therefore|then|finally|consequently|we (?:get|have|find|obtain|conclude)(?: that)?|that|"
    r"there (?:is|are)|there will be|it is(?: equal to)?|it's|they are|this is|is equal to|is|are|equals?|equal to|exactly|precisely|"
    r"about|approximately|approx\.?|around|roughly|a total of|in total|total of|only|just)(?![a-zA-Z:])|"
    r"\\(?:therefore|approx|thicksim|Rightarrow|implies)(?![a-zA-Z])|=>|[=≈∴⇒:])\s*,?\s*",
    re.IGNORECASE,
)
_TRAIL = re.compile(
    r"\s*,?\s*(?<![a-zA-Z\\])(?:in total|in all|altogether|exactly|precisely|approximately|only|respectively|"
    r"\((?:approx(?:\.|imately)?|exactly)\)|is (?:the (?:final |correct |right )?answer|correct|right))\s*\.?\s*$",
    re.IGNORECASE,
)
_REASON = re.compile(r"\s*,?\s+(?:because|since)\s.*$|[.!]\s+[A-Z][^\d\\$]*$", re.DOTALL)
_IS = re.compile(
    r"(?:^|(?<=[\s,;$]))(\$?[a-zA-Z](?:_\{?\w\}?)?\$?|\([a-z](?:,\s*[a-z])+\))\s+"
    r"(?:is (?:exactly |about |approximately )?(?:equal to )?|equals )(?=\$?[-+\d\\(])"
)
_SUBJECT = re.compile(
    r"^\s*(?:the|its|his|her|their|our)\s(?:[a-z][a-z'-]*\s+){1,8}(?:is|are|was|equals)\s+"
    r"(?:equal to |exactly |about |approximately )?(?=\$?[-\d\\(])",
    re.IGNORECASE,
)
_TEXT = re.compile(r"\s*\\(?:text|mbox|mathrm)\s*\{([^{}]*)\}")
_WRAPPED = re.compile(r"^\s*\\(?:text|textbf|mathrm|mbox)\s*\{([^{}\\]*)\}\s*\.?\s*$")


def bare(text: str) -> str:
    """Return the answer without the marks and phrases around it. Takes time linear in the text, or nearly so."""
    if not _ANYTHING.search(text):
        return text
    text = _END_OF_PROOF.sub("", _after_last("####", text))
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    text = _without_sentence(text)
    wrapped = _WRAPPED.match(text)
    if wrapped and (inner := _without_sentence(wrapped[1])) != wrapped[1]:
        text = rf"\text{{{inner}}}"
    return _domains(_named_sets(_number_words(text)))


def _after_last(mark: str, text: str) -> str:
    rest = text.rpartition(mark)[2]
    return rest if rest.strip() else text


def _without_sentence(text: str) -> str:
    cues = list(_CUE.finditer(text))
    if cues and text[cues[-1].end() :].strip(" .$"):
        text = _balanced(_REASON.sub("", text[cues[-1].end() :]).strip())
    for _ in range(4):
        macro = _TEXT.match(text)
        if macro and _LEAD.fullmatch(macro[1]):
            text = f"{macro[1]} {text[macro.end() :]}"
        lead = _LEAD.match(text)
        if lead is None or not text[lead.end() :].strip(" .$"):
            break
        text = text[lead.end() :]
    text = _TRAIL.sub("", text) if len(text) < 400 else text
    return _IS.sub(r"\1=", _SUBJECT.sub("", text))


def _balanced(text: str) -> str:
    r"""Remove the brace of a macro that was opened before the cut: `} 5` of `\text{The answer is } 5`."""
    if text.count("}") == text.count("{") + 1:
        return text[1:] if text[0] == "}" else text.rstrip(" .").removesuffix("}")
    return text


# ---- number words

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
_SMALL = {word: value for value, word in enumerate(_UNITS)} | _TENS
_LARGE = {"hundred": 100, "dozen": 12, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {"half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7}
_PARTS |= {"eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "twentieth": 20, "hundredth": 100, "thousandth": 1000}
_FIRST = "|".join(sorted(_SMALL, key=len, reverse=True))
_WORD = f"{_FIRST}|{'|'.join(_LARGE)}"
_PART = "|".join(_PARTS)
_NUMBER_WORDS = re.compile(
    rf"(?<![\w\\-])(?:(an?)[\s-]+(?=(?:{'|'.join(_LARGE)}|half|third|quarter)(?![a-z])))?"
    rf"((?:{_FIRST}|(?:(?<=a )|(?<=an ))(?:{'|'.join(_LARGE)}))(?:[\s-]+(?:(?<=hundred\s)and\s+(?=(?:{_WORD})(?![a-z])))?(?:{_WORD}))*(?![a-z]))?"
    rf"(?:(?:(?<=[a-z])[\s-]+)?({_PART})s?(?![a-z]))?(?![\w-])",
    re.IGNORECASE,
)


def _number_words(text: str) -> str:
    digits = _NUMBER_WORDS.sub(_digits, text)
    if digits == text:
        return text
    digits = re.sub(r"(?<![\d.])(\d+)\s+and\s+(?=\\frac\{\d+\}\{\d+\})", r"\1", digits)  # `two and a half`
    return re.sub(r"(?<![\d.])(\d+)\s*\(\s*\1\s*\)", r"\1", digits)  # `twelve (12)`


def _digits(match: re.Match[str]) -> str:
    article, words, part = match.groups()
    if not words and not (part and (article or part.lower() == "half")):
        return match[0]
    value = _cardinal(re.findall("[a-z]+", (words or "one").lower()))
    if value is None:
        return match[0]
    if part:
        ratio = Fraction(value, _PARTS[part.lower()])
        return rf"\frac{{{ratio.numerator}}}{{{ratio.denominator}}}"
    return str(value)


def _cardinal(words: list[str]) -> int | None:
    """Return the number that the words spell, or None for `one two` and other sequences that spell none."""
    total, current, previous = 0, 0, 10**15
    for word in words:
        if word == "and":
            continue
        if word == "hundred":
            current, previous = (current or 1) * 100, 100
        elif word in _LARGE:
            total, current, previous = total + (current or 1) * _LARGE[word], 0, 10**15
        else:
            value = _SMALL[word]
            if previous < 100 and not (previous in _TENS.values() and 0 < value < 10):
                return None
            current, previous = current + value, value
    return total + current


# ---- sets that have names

_SETS = {
    r"\emptyset ": r"(?:there (?:is|are) )?no (?:such )?(?:solutions?|roots?)(?: exists?)?|(?:the )?empty set|"
    r"has no (?:solutions?|roots?)|no (?:solutions?|roots?) exists?",
    r"\mathbb{R}": r"(?:the set of )?(?:all|any|every)(?: the)? real(?: numbers?|s)?|the (?:set of )?real numbers?|reals?",
    r"\mathbb{Z}": r"(?:the set of )?(?:all|any|every)(?: the)? integers?|the (?:set of )?integers",
    r"\infty ": r"(?:positive|plus) infinity",
    r"-\infty ": r"(?:negative|minus) infinity",
}
_SETS_RE = [
    (re.compile(rf"(?:\\(?:text|textbf|mathrm|mbox)\s*\{{)?\s*(?:{pattern})\s*\.?\s*\}}?\s*\.?", re.IGNORECASE), name)
    for name, pattern in _SETS.items()
]


def _named_sets(text: str) -> str:
    plain = " ".join(text.replace("$", " ").split())
    if len(plain) > 80:
        return text
    return next((name for pattern, name in _SETS_RE if pattern.fullmatch(plain)), text)


_INTEGER = [
    re.compile(r"\\text\s*\{([^{}]*\binteger[^{}]*)\}"),
    re.compile(
        r"[,;(]?\s*\b(?:where|for|with|and)?\s*(?:any|all|some|every)?\s*\$?\b([a-zA-Z])\$?\s*(?:is|being|are)?\s*"
        r"(?:an|any|some)?\s*integer\b\)?\.?\s*$"
    ),
    re.compile(r"[,;(]?\s*\b(?:where|for|with)\s*(?:any|all|some|every|an)?\s*integers?\s*\$?([a-zA-Z])\$?\)?\.?\s*$"),
    re.compile(r"[,;]?\s*\\?[(,]\s*([a-zA-Z])\s*\\in\s*\\(?:mathbb|mathbf|mathrm)\s*\{?Z\}?\s*\\?\)\.?\s*$"),
]


def _domains(text: str) -> str:
    r"""Write `(k an integer)`, `for any integer k` and `(k\in\mathbb{Z})` at the end as `, k\in\mathbb{Z}`."""
    if ("integer" not in text and r"\in" not in text) or len(text) > 400:
        return text
    text = _INTEGER[0].sub(r" \1 ", text)
    for pattern in _INTEGER[1:]:
        text = pattern.sub(r" , \1\\in\\mathbb{Z}", text)
    return text
