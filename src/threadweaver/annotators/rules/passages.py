"""A chain as passages: paragraphs, and what each opens (a case, an instance, a method, a named item)."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A paragraph, or the part of one from a heading line on. Lines count from 1, `last` included."""

    first: int
    last: int
    offset: int   # of its first character in the chain
    text: str


@dataclass(frozen=True)
class Head:
    """What a unit opens. Heads of one `key` are members of one series; `slot` tells them apart."""

    kind: str
    key: str
    slot: str


_OPENER = (r"(?:(?:okay|ok|alright|all right|so|now|and|next|then|first(?:ly)?|second(?:ly)?|third(?:ly)?|finally|lastly|also|similarly|likewise"
           r"|again|hmm|well|actually|starting with|start with|beginning with|moving on(?: to)?|on to|onto|as for|in|for|consider(?:ing)?"
           r"|check(?:ing)?|take|taking|the|this|let'?s(?: \w+)? (?:start with|consider|look at|take|check|examine|handle|do|try|tackle|analy[sz]e|move on to|begin with|go to|explore|address|deal with|test|see|work through|go through|explore|verify|evaluate)"
           r"|let me (?:now |also |first )?(?:start with|consider|look at|take|check|examine|handle|do|try|tackle|analy[sz]e|begin with|test|see|verify|evaluate|plug in)|(?:i'll|we|i) (?:now )?(?:consider|check|try|test|take)|what about|what if|how about|try(?:ing)?|test(?:ing)?|we have|here'?s)"
           r"(?:[,:]|\.{3})?\s+)")
_MARKUP = r"[\s#>*\-•–+✓✗_$]*"
_LEAD = rf"^{_MARKUP}(?:\(?\d{{1,2}}[.)]\s+)?{_MARKUP}(?:{_OPENER}){{0,3}}{_MARKUP}"

_LABELLED = re.compile(
    rf"{_LEAD}(?P<noun>sub-?case|case|scenario|possibility|option|situation|method|approach|way|attempt|test|example|trial|part|choice|candidate"
    rf"|interpretation|configuration|arrangement|pattern|category|type|strategy|group|class|row|column|term|level|position|square|triangle|root"
    rf"|side|player|person|day|round|problem|question|statement|condition|constraint|region|quadrant|interval|pair|set)s?\s*"
    rf"(?:\\?\(|#|\*\*|\$)*\s*(?P<tag>\d{{1,3}}(?:[.\-]\d+)*(?:[a-z](?![a-z]))?|[A-H](?![A-Za-z'])|[ivx]{{1,4}}(?![a-z]))(?![\w]|\s*[=+*/^]|\s*,\s*\d|\s+(?:and|or|to|gives?|gave|is correct|was|did|we (?:found|had|got)|above|works?)\b)",
    re.IGNORECASE)
_ORDINAL_LABEL = re.compile(
    rf"^{_MARKUP}(?:(?:okay|ok|now|so|and|for|in|then|next|consider|let'?s (?:consider|look at|take|do)|consider(?:ing)?|take|starting with)[,:]?\s+){{0,2}}(?:the\s+)?(?P<tag>first|second|third|fourth|fifth|sixth|last|1st|2nd|3rd|4th|other)\s+"
    r"(?P<noun>sub-?case|case|scenario|possibility|option|situation|method|approach|way|attempt|part|equation|term|factor|condition|group|root|pair|integral|sum|series|expression|interpretation|set|row|column|digit|line|circle|triangle|quadratic|fraction|factor|bracket|product|half)\b",
    re.IGNORECASE)
_VALUE = r"(?:\\?[{(]?-?\d[\d\s.,/{}\\^²³()+*π-]{0,16}?|odd|even|prime|composite|positive|negative|zero|true|false|\\[a-z]+[\w{}\\/]{0,14})"
_INSTANCE = re.compile(
    rf"{_LEAD}(?P<cue>(?:if|when|for|at|suppose|assume|say|setting|set|let|with|where|plug(?:ging)? in|substitut(?:e|ing)|evaluat(?:e|ing))\s+(?:that\s+)?)?(?:the case (?:when|where|of)\s+)?[$\\(*]*"
    rf"(?P<name>[A-Za-z](?:_?\{{?\w\}}?|[₀-₉])?|\\[a-z]+|\d?[A-Za-z][²³]?|[A-Za-z]\s?[-+]\s?\d{{1,2}}|[A-Za-z]\([a-z]\)|\d+[a-z]²?\s?[-+]\s?\d+)\s*(?:=|\bis\b(?: an?)?|≡|\\equiv|\bequals\b|≥|≤|<|>)\s*(?P<value>{_VALUE})\s*(?:[$*:,.?;!)\\]|\bthen\b|-+>|→|⇒|=>|=|$|\s\()",
    re.IGNORECASE)
_CUED = re.compile(rf"^{_MARKUP}(?:\(?\d{{1,2}}[.)]\s+)?(?:(?:so|now|and|next|then|okay|first|finally)[,:]?\s+)?(?:for|next|case|consider|check|checking|try|trying|test|testing|take|let|what|how|starting|start)\b", re.IGNORECASE)
_EVALUATION = re.compile(
    rf"{_LEAD}(?:(?:comput(?:e|ing)|calculat(?:e|ing)|evaluat(?:e|ing)|find(?:ing)?|for|check)\s+)?[$\\(*]*(?P<name>[A-Za-z](?:_\w)?)\s?\(\s?(?P<value>-?\d+(?:/\d+)?)\s?\)[\s$*\\)]*(?:[:=]|\bis\b)",
    re.IGNORECASE)
_NAMED = re.compile(r"^(?P<mark>[\s\-•#>\d.)]*)(?:(?:now|next|then|starting with|finally|for|and|first|second|so|similarly)[,:]?\s+)?(?P<bold>\*\*)(?P<name>[^*\n:]{1,60})(?P<close>:?\*\*:?)", re.IGNORECASE)
_COLON = re.compile(
    r"^[\s\-•*#>]*(?:(?:now|next|then|finally|for|and|first(?:ly)?|second(?:ly)?|third(?:ly)?|lastly|so|similarly|on|in|starting with|compute|computing|calculate|calculating)[,:]?\s+)?(?:the\s+)?(?P<name>[A-Za-z][\w ²³°'$^{}()\\+-]{0,30}?)\s*:(?=\s|$)",
    re.IGNORECASE)
_PAIRED = (("left", "right"), ("lhs", "rhs"), ("numerator", "denominator"), ("first", "second", "third"), ("even", "odd"), ("smaller", "larger", "bigger"),
           ("horizontal", "horizontally", "vertical", "vertically", "diagonal"), ("row", "column"), ("rows", "columns"), ("upper", "lower"), ("top", "bottom", "middle"), ("positive", "negative", "zero"),
           ("x", "y", "z"), ("maximum", "minimum"), ("max", "min"), ("real", "imaginary"), ("inner", "outer"), ("inside", "outside"), ("big", "small"),
           ("base", "height"), ("length", "width"), ("red", "blue", "green", "white", "black", "yellow"), ("boys", "girls"), ("mean", "median", "mode", "range"), ("heads", "tails"),
           ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), ("units", "tens", "hundreds", "thousands"), ("sin", "cos", "tan"))
_PAIRED_GROUP = {word: f"<{group[0]}>" for group in _PAIRED for word in group}
_NUMBERED = re.compile(r"^\s*(?:\*\*)?(?:\(?(?P<tag>\d{1,2}|[a-h])[.)]|(?P<dash>[-•*]))\s+\S")

_METHOD = re.compile(
    rf"^{_MARKUP}(?:(?:okay|ok|so|now|but|hmm|well|and|or|wait|actually|maybe|perhaps|just to be thorough|to be thorough|for verification|as a check)[,.]*\s+){{0,3}}(?:"
    r"alternatively\b|another (?:way|approach|method|idea|thought|strategy|angle|technique|possibility|perspective|interpretation|attempt)\b"
    r"|(?:maybe |perhaps )?(?:there(?:'s| is)|is there|what about|how about) (?:another|a different|an alternative|a simpler|a better|a more \w+) (?:way|approach|method|idea|strategy|interpretation)"
    r"|a (?:different|second|third|better|simpler) (?:way|approach|method|idea|strategy|interpretation)\b"
    r"|(?:let me|let'?s|i(?:'ll| will| can| could| should| might)|we (?:can|could|might)|maybe|perhaps)\s+(?:\w+\s+)?(?:also\s+)?(?:(?:try|use|consider|think (?:of|about)|approach|do|look at|verify|check|attempt|take|explore|see if|confirm|double-check|cross-check|solve)\s+)(?:(?:it|this|that|the problem|my answer|the answer|the result)\s+)?(?:there(?:'s| is)\s+)?(?:using |with |from |in |for |of |by )?(?:an?other|a different|an alternative|a second)\b"
    r"|using (?:another|a different|an alternative)\b|(?:method|approach) (?:2|two|b)\b)",
    re.IGNORECASE)
_CHECK = re.compile(
    rf"^{_MARKUP}(?:(?:okay|ok|so|now|but|hmm|well|and|wait|actually|also|just to be sure|to be sure|again|next|finally|first|second)[,.]*\s+){{0,3}}(?:let me|let'?s|we (?:can|should)|i (?:can|should|will)|i'll|to)?\s*(?:also\s+|just\s+|quickly\s+|now\s+)?(?P<verb>verify|double[- ]check|check|test|confirm|verifying|checking|testing|sanity check)\b(?P<what>[^.\n:]{{0,60}})",
    re.IGNORECASE)


def head_of(text: str) -> Head | None:
    """What the unit that begins with `text` opens, the most telling form first."""
    opening = text[:200].split("\n", 1)[0]
    for recognise in (_labelled, _ordinal, _instance, _method, _named, _colon, _check):
        head = recognise(opening)
        if head:
            return head
    return None


def _labelled(opening: str) -> Head | None:
    match = _LABELLED.match(opening)
    if not match:
        return None
    noun, tag = match["noun"].lower().replace("-", ""), match["tag"]
    parts = re.split(r"[.\-]", tag)
    if len(parts) == 1 and parts[0][-1:].isalpha() and len(parts[0]) > 1 and parts[0][0].isdigit():
        parts = [parts[0][:-1], parts[0][-1]]
    style = "1" if parts[-1].isdigit() else "a"
    return Head("label", f"{noun} {'.'.join(parts[:-1])}{style}", parts[-1].lower())


def _ordinal(opening: str) -> Head | None:
    match = _ORDINAL_LABEL.match(opening)
    return Head("label", f"ordinal {match['noun'].lower()}", match["tag"].lower()) if match else None


def _instance(opening: str) -> Head | None:
    match = _INSTANCE.match(opening)
    if match:
        if not (match["cue"] or _CUED.match(opening) or opening[match.end() - 1:].lstrip("*$) ")[:1] in (":", "")):
            return None
        if not match["cue"] and not _CUED.match(opening) and len(match["value"]) > 6:
            return None
        return Head("instance", f"instance {match['name'].replace(' ', '')}", " ".join(match["value"].split()).strip(" .,$"))
    match = _EVALUATION.match(opening)
    return Head("instance", f"value {match['name']}", match["value"]) if match else None


def _method(opening: str) -> Head | None:
    match = _METHOD.match(opening)
    if not match:
        return None
    return Head("method", "method", "alt")


def _named(opening: str) -> Head | None:
    match = _NAMED.match(opening)
    if not match:
        return None
    name = match["name"].strip()
    colon = ":" if ":" in match["close"] or opening[match.end():match.end() + 2].strip().startswith(":") else ""
    shape = re.sub(r"\d+", "1", re.sub(r"\s", "", match["mark"]))
    return Head("item", f"bold {shape}{colon}", name.lower())


def _colon(opening: str) -> Head | None:
    match = _COLON.match(opening)
    if not match:
        return None
    words = match["name"].lower().split()
    signature = " ".join(_PAIRED_GROUP.get(word, "#" if any(c.isdigit() for c in word) or len(word) == 1 else word) for word in words)
    if ("<" not in signature and "#" not in signature) or signature.count("#") > 1:
        return None
    return Head("item", f"colon {signature}", match["name"].lower())


def _check(opening: str) -> Head | None:
    match = _CHECK.match(opening)
    return Head("check", "check", match["what"].strip().lower() or "it") if match else None


_BLANK = re.compile(r"\n[^\S\n]*(?=\n)")


def units(thinking: str) -> list[Unit]:
    """The paragraphs of the chain, cut at lines that open something of their own."""
    found: list[Unit] = []
    first, start, texts, at = 0, 0, [], 0

    def close(last: int) -> None:
        if texts:
            found.append(Unit(first, last, start, "\n".join(texts)))
            texts.clear()

    for number, line in enumerate(thinking.split("\n"), 1):
        if not line.strip():
            close(number - 1)
        else:
            if texts and _splits(line):
                close(number - 1)
            if not texts:
                first, start = number, at
            texts.append(line)
        at += len(line) + 1
    close(thinking.count("\n") + 1)
    return found


def _splits(line: str) -> bool:
    head = head_of(line)
    return head is not None and (head.kind in ("label", "instance") or (head.kind == "item" and not head.key.startswith("colon")))
