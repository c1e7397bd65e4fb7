"""What a passage opens: a case, an instance, a named item, or another way to go about the problem."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Head:
    """What a unit opens. Heads of one `key` are members of one series; `slot` tells them apart."""

    kind: str  # label ("Case 2"), instance ("If n = 3"), item ("**Tens place:**"), method ("Alternatively, …")
    key: str
    slot: str
    shown: str = field(default="", compare=False)  # the case, value or item in the text's own words


_MARKUP = r"[\s#>*\-•–+✓✗_$]*"
_ITEM_NUMBER = r"(?:\(?\d{1,2}[.)]\s+)?"
_OPENER = (
    r"(?:(?:okay|ok|alright|all right|so|now|and|next|then|first(?:ly)?|second(?:ly)?|third(?:ly)?|finally"
    r"|lastly|also|similarly|likewise"
    r"|again|hmm|well|actually|starting with|start with|beginning with|moving on(?: to)?|on to|onto"
    r"|as for|in|for|consider(?:ing)?"
    r"|check(?:ing)?|take|taking|the|this|let'?s(?: \w+)? (?:start with|consider|look at|take|check"
    r"|examine|handle|do|try|tackle|analy[sz]e|move on to|begin with|go to|explore|address|deal "
    r"with|test|see|work through|go through|explore|verify|evaluate)"
    r"|let me (?:now |also |first )?(?:start with|consider|look at|take|check|examine|handle|do|try"
    r"|tackle|analy[sz]e|begin with|test|see|verify|evaluate|plug in)|(?:i'll|we|i) (?:now "
    r")?(?:consider|check|try|test|take)|what about|what if|how about|try(?:ing)?|test(?:ing)?|we "
    r"have|here'?s)"
    r"(?:[,:]|\.{3})?\s+)"
)
_LEAD = re.compile(rf"{_MARKUP}{_ITEM_NUMBER}{_MARKUP}(?:{_OPENER}){{0,3}}{_MARKUP}", re.IGNORECASE)
_LABEL_NOUNS = (
    r"sub-?case|case|scenario|possibility|option|situation|method|approach|way|attempt|test|example|trial"
    r"|part|choice|candidate"
    r"|interpretation|configuration|arrangement|pattern|category|type|strategy|group|class|row|column|term"
    r"|level|position|square|triangle"
    r"|root|side|player|person|day|round|problem|question|statement|condition|constraint|region|quadrant"
    r"|interval|pair|set"
)
_LABEL_GATE = re.compile(rf"(?:{_LABEL_NOUNS})s?\s*(?:\\?\(|#|\*\*|\$)*\s*[\da-hivx]")
_LABELLED = re.compile(
    rf"(?P<noun>{_LABEL_NOUNS})s?\s*(?:\\?\(|#|\*\*|\$)*\s*"
    r"(?P<tag>\d{1,3}(?:[.\-]\d+)*(?:[a-z](?![a-z]))?|[A-H](?![A-Za-z'])|[ivx]{1,4}(?![a-z]))"
    r"(?![\w]|\s*[=+*/^]|\s*,\s*\d|\s+(?:and|or|to|gives?|gave|is correct|was|did|we (?:found|had|got)"
    r"|above|works?)\b)",
    re.IGNORECASE,
)
_ORDINAL_LABEL = re.compile(
    rf"^{_MARKUP}(?:(?:okay|ok|now|so|and|for|in|then|next|consider|let'?s (?:consider|look at|take|do)"
    rf"|consider(?:ing)?|take|starting with)[,:]?\s+){{0,2}}(?:the\s+)?(?P<tag>first|second|third|fourth"
    rf"|fifth|sixth|last|1st|2nd|3rd|4th|other)\s+"
    r"(?P<noun>sub-?case|case|scenario|possibility|option|situation|method|approach|way|attempt|part"
    r"|equation|term|factor|condition|group|integral|sum|series|expression|interpretation|quadratic"
    r"|fraction|bracket|product|half|inequality|constraint|statement|quadrant)\b",
    re.IGNORECASE,
)
_ORDINAL_GATE = re.compile(r"first|second|third|fourth|fifth|sixth|last|1st|2nd|3rd|4th|other")
_VALUE = (
    r"(?:\\?[{(]?-?\d[\d\s.,/{}\\^²³()+*π-]{0,16}?|odd|even|prime|composite|positive|negative|zero|true|false"
    r"|\\[a-z]+[\w{}\\/]{0,14})"
)
_INSTANCE = re.compile(
    r"(?P<cue>(?:if|when|for|at|suppose|assume|say|setting|set|let|with|where|plug(?:ging)? in"
    r"|substitut(?:e|ing)|evaluat(?:e|ing))"
    r"\s+(?:that\s+)?)?(?:the case (?:when|where|of)\s+)?[$\\(*]*"
    r"(?P<name>[A-Za-z](?:_?\{?\w\}?|[₀-₉])?|\\[a-z]+|\d?[A-Za-z][²³]?|[A-Za-z]\s?[-+]\s?\d{1,2}"
    r"|[A-Za-z]\([a-z]\)|\d+[a-z]²?\s?[-+]\s?\d+)"
    rf"\s*(?:=|\bis\b(?: an?)?|≡|\\equiv|\bequals\b|≥|≤|<|>)\s*(?P<value>{_VALUE})"
    r"\s*(?:[$*:,.?;!)\\]|\bthen\b|-+>|→|⇒|=>|=|$|\s\()",
    re.IGNORECASE,
)
_INSTANCE_GATE = re.compile(r"[=≡<>≤≥]| is |equiv|equals")
# A bare "x = 3" is a result; it is an instance only where the line sets out to try it.
_CUED = re.compile(
    rf"^{_MARKUP}{_ITEM_NUMBER}(?:(?:so|now|and|next|then|okay|first|finally)[,:]?\s+)?"
    r"(?:for|next|case|consider|check|checking|try|trying|test|testing|take|let|what|how|starting|start)\b",
    re.IGNORECASE,
)
_EVALUATION = re.compile(
    r"(?:(?:comput(?:e|ing)|calculat(?:e|ing)|evaluat(?:e|ing)|find(?:ing)?|for|check)\s+)?[$\\(*]*"
    r"(?P<name>[A-Za-z](?:_\w)?)\s?\(\s?(?P<value>-?\d+(?:/\d+)?)\s?\)[\s$*\\)]*(?:[:=]|\bis\b)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"^(?P<mark>[\s\-•#>\d.)]*)(?:(?:now|next|then|starting with|finally|for|and|first|second|so"
    r"|similarly)[,:]?\s+)?(?P<bold>\*\*)(?P<name>[^*\n:]{1,60})(?P<close>:?\*\*:?)",
    re.IGNORECASE,
)
_COLON = re.compile(
    r"^[\s\-•*#>]*(?:(?:now|next|then|finally|for|and|first(?:ly)?|second(?:ly)?|third(?:ly)?|lastly|so"
    r"|similarly|on|in|starting with|compute|computing|calculate"
    r"|calculating)[,:]?\s+)?(?:the\s+)?(?P<name>[A-Za-z][\w ²³°'$^{}()\\+-]{0,30}?)\s*:(?=\s|$)",
    re.IGNORECASE,
)
_PAIRED = (
    ("left", "right"),
    ("lhs", "rhs"),
    ("numerator", "denominator"),
    ("first", "second", "third", "fourth", "fifth"),
    ("even", "odd"),
    ("smaller", "larger", "bigger"),
    ("horizontal", "horizontally", "vertical", "vertically", "diagonal"),
    ("row", "column"),
    ("rows", "columns"),
    ("upper", "lower"),
    ("top", "bottom", "middle"),
    ("positive", "negative", "zero"),
    ("x", "y", "z"),
    ("quadrant", "quadrants"),
    ("maximum", "minimum"),
    ("max", "min"),
    ("real", "imaginary"),
    ("inner", "outer"),
    ("inside", "outside"),
    ("big", "small"),
    ("base", "height"),
    ("length", "width"),
    ("red", "blue", "green", "white", "black", "yellow"),
    ("boys", "girls"),
    ("mean", "median", "mode", "range"),
    ("heads", "tails"),
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("units", "tens", "hundreds", "thousands"),
    ("sin", "cos", "tan"),
)
PAIRED_GROUP = {word: f"<{group[0]}>" for group in _PAIRED for word in group}

_METHOD = re.compile(
    rf"^{_MARKUP}(?:(?:okay|ok|so|now|but|hmm|well|and|or|wait|actually|maybe|perhaps|just to be thorough"
    rf"|to be thorough|for verification|as a check)[,.]*\s+){{0,3}}(?:"
    r"alternatively\b|another (?:way|approach|method|idea|thought|strategy|angle|technique|possibility"
    r"|perspective|interpretation|attempt)\b"
    r"|(?:maybe |perhaps )?(?:there(?:'s| is)|is there|what about|how about) (?:another|a different|an "
    r"alternative|a simpler|a better|a more \w+) (?:way|approach|method|idea|strategy|interpretation)"
    r"|a (?:different|second|third|better|simpler) (?:way|approach|method|idea|strategy|interpretation)\b"
    r"|(?:let me|let'?s|i(?:'ll| will| can| could| should| might)|we (?:can|could|might)|maybe"
    r"|perhaps)\s+(?:\w+\s+)?(?:also\s+)?(?:(?:try|use|consider|think (?:of|about)|approach|do|look at"
    r"|verify|check|attempt|take|explore|see if|confirm|double-check|cross-check|solve)\s+)(?:(?:it|this"
    r"|that|the problem|my answer|the answer|the result)\s+)?(?:there(?:'s| is)\s+)?(?:using |with |from "
    r"|in |for |of |by )?(?:an?other|a different|an alternative|a second)\b"
    r"|using (?:another|a different|an alternative)\b|(?:method|approach) (?:2|two|b)\b)",
    re.IGNORECASE,
)
# One of many short trials in a row: "Alternatively, group (2·3)·(4·5).", "Alternatively, try 8460."
_TRIAL = re.compile(
    rf"{_MARKUP}alternatively,?\s+(?:if (?:i|we)\s+|let me\s+|let's\s+|we (?:can|could)\s+)?"
    r"(?P<verb>group|try|take|choose|pick|place|set|test|assume|split"
    r"|swap)(?:ing)?\s+(?P<object>[^a-z\s].{0,60})",
    re.IGNORECASE,
)
_METHOD_GATE = re.compile(r"alternativ|nother|different|second |third |better |simpler |method |approach ")


def head_of(text: str) -> Head | None:
    """What the unit that begins with `text` opens, the most telling form first; None: nothing of its own."""
    opening = text[:160].partition("\n")[0]
    small = opening.lower()
    lead = -1
    if _LABEL_GATE.search(small, 0, 80):
        lead = _LEAD.match(opening).end()
        head = _labelled(opening, lead)
        if head:
            return head
    if _ORDINAL_GATE.search(small, 0, 60) and (head := _ordinal(opening)):
        return head
    if _INSTANCE_GATE.search(small, 0, 90):
        head = _instance(opening, _LEAD.match(opening).end() if lead < 0 else lead)
        if head:
            return head
    if _METHOD_GATE.search(small) and _METHOD.match(opening):
        trial = _TRIAL.match(opening)
        return Head("method", f"try {trial['verb'].lower()}" if trial else "method", trial["object"] if trial else "")
    if "**" in opening and (head := _named(opening)):
        return head
    return _colon(opening) if ":" in opening else None


def _labelled(opening: str, lead: int) -> Head | None:
    match = _LABELLED.match(opening, lead)
    if not match:
        return None
    noun, tag = match["noun"].lower().replace("-", ""), match["tag"]
    parts = re.split(r"[.\-]", tag)
    if len(parts) == 1 and tag[0].isdigit() and tag[-1].isalpha():
        parts = [tag[:-1], tag[-1]]  # "Case 2a" is a part of case 2
    style = "1" if parts[-1].isdigit() else "a"
    return Head("label", f"{noun} {'.'.join(parts[:-1])}{style}", parts[-1].lower())


def _ordinal(opening: str) -> Head | None:
    match = _ORDINAL_LABEL.match(opening)
    return Head("label", f"ordinal {match['noun'].lower()}", match["tag"].lower()) if match else None


_DERIVED = re.compile(rf"{_MARKUP}(?:(?:so|then|thus|hence|therefore|but|and)\b|the set\b)", re.IGNORECASE)


def _instance(opening: str, lead: int) -> Head | None:
    if _DERIVED.match(opening):
        return None  # "So, f(3) = 7" is a result
    match = _INSTANCE.match(opening, lead)
    if match:
        if not match["cue"] and not _CUED.match(opening):
            ends_line = opening[match.end() - 1 :].lstrip("*$) ")[:1] in (":", "")
            if not ends_line or len(match["value"]) > 6:
                return None
        value = " ".join(match["value"].split()).strip(" .,$")
        shown = opening[match.start("name") : match.start("value")] + value
        return Head("instance", f"instance {match['name'].replace(' ', '')}", value, shown)
    match = _EVALUATION.match(opening, lead)
    if not match:
        return None
    return Head("instance", f"value {match['name']}", match["value"], f"{match['name']}({match['value']})")


def _named(opening: str) -> Head | None:
    match = _NAMED.match(opening)
    if not match:
        return None
    name = match["name"].strip()
    colon = ":" if ":" in match["close"] or opening[match.end() : match.end() + 2].strip().startswith(":") else ""
    shape = re.sub(r"\d+", "1", re.sub(r"\s", "", match["mark"]))
    words = name.rstrip(":").split()
    if "1" not in shape and len(words) > 1:
        # Sections of a solution are bold too; members of a series have like names.
        shape += " " + " ".join(
            PAIRED_GROUP.get(w.lower(), "#" if len(w) <= 2 or any(c.isdigit() for c in w) else w.lower()) for w in words
        )
    return Head("item", f"bold {shape}{colon}", name.lower(), name)


def _colon(opening: str) -> Head | None:
    match = _COLON.match(opening)
    if not match:
        return None
    words = match["name"].lower().split()
    signature = " ".join(
        PAIRED_GROUP.get(word, "#" if any(c.isdigit() for c in word) or (len(word) == 1 and word not in "ai") else word)
        for word in words
    )
    if ("<" not in signature and "#" not in signature) or signature.count("#") > 1:
        return None
    return Head("item", f"colon {signature}", match["name"].lower(), match["name"])
