"""Outlines from the headings of threads and the task that the context states: what each sets out to do, never what it finds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from threadweaver.annotators.rules.heads import MAX_LINE, Head, head_of, parallel_titles

MAX_WORDS = 60  # of an outline, the words of all members that were joined
_NEAR = 500  # characters of the context in which a variable or a distinction is introduced

# Up to where a heading says what is assumed; from there on it tells what follows.
_CLAUSE_END = re.compile(
    r"(?i)[.!?](?:\s|$)|[;\n]|:(?=\s|$)|=>|⇒|→|->|\\implies|\\Rightarrow|—|\s–\s"
    r"|,?\s(?:so|then|which|gives?|giving|because|since|as|therefore|thus|hence|but|we|this|that means|meaning|it|there|leads?|yields?|implies|where|let)\b"
)
_LEADING = re.compile(
    r"(?i)[\s:.,)(*_\-–—]{0,12}+(?:(?:when|if|where|is when|is where|is if|that|suppose|assume|assuming|supposing|here|let(?:'|’)?s|let us|we|first)\s(?:that\s)?){0,2}+"
)
# A heading that begins so tells what follows from its assumption; one of these words speaks of the others.
_TELLS = re.compile(
    r"(?i)(?:so|then|thus|hence|therefore|this|that|it|there|since|because|similarly|same|no|not|yes)\b"
    r"|.*\b(?:conclusions?|summary|total|final answer|recap|overall)\b"
)
# What the context says is to be done with the members.
_TAIL = 700  # characters before a block
_SENTENCES = 4  # the last ones, in which its task is looked for
_MAX_WORDS = 24
_SENTENCE_END = re.compile(r"(?<=[.!?:])\**\s+(?=[A-Z$\\(*\-])|\n+")
_DROPS_E = "analys analyz calculat comput deriv determin evaluat examin solv substitut us".split()
_VERB = (
    rf"(?P<stem>{'|'.join(_DROPS_E)}|apply|check|count|do|expand|find|follow|perform|plug|simplify|test|work)"
    r"(?:e|ing)?(?P<particle> out| in)?"
)
_OPENS = r"[\s#>*_\-•\d.)]{0,8}+(?:(?:now|next|then|so|first|second|similarly|okay|ok|well|and)\b[\s,:]{1,3}){0,3}+"
_IMPERATIVE = re.compile(rf"(?i){_OPENS}{_VERB}\s(?P<rest>.+)")
_INTENT = re.compile(
    r"(?i).{0,160}?\b(?:let(?:'|’)?s|let us|let me|i(?:'|’)ll|we(?:'|’)ll|(?:i|we) (?:will|can|must|should)|(?:need|have|want|going|is) to|i|we)\s"
    rf"(?:(?:now|also|first|next|just|then|try to|start by|begin by|proceed to)\s){{0,2}}{_VERB}\s(?P<rest>.+)"
)
_PASSIVE = re.compile(
    r"(?i)(?:the )?(?P<noun>(?!\w+ves\b)\w+?)(?:es|s) are (?P<verb>\w+?)ed(?P<out> out)? one by one\b.*"
)
_CUT = re.compile(
    r"(?i)(?:,? (?:and then|so that|so|then|because|since|which|to see|making sure)\b|, (?:i|we)\b|[;:]\s).*|[\s.:,*]+$"
)
_ONE_BY_ONE = re.compile(
    r"(?i),?\s(?:separately|one by one|step by step|individually|in turn|by (?:itself|themselves)|one at a time|apart from each other)\b"
)
_VAGUE = re.compile(
    r"(?i)(?:it|them|this|that|these|those|each one|again|my|what we)\b(?! \w)|.*\b(?:again|the cases|each)$|[\W_]*$"
)
_EACH = re.compile(
    r"\b(?:each|every|(?<=for )(?:small|different|various))(?: of (?:the|these|those))?(?: possible| values? of| choice of)? (?P<noun>\\\(.+?\\\)|\$[^$]+\$|[\w']+)"
)
_ALL = re.compile(
    r"(?i)(?:(?<=^check )|(?<= in )|(?<=for )|(?<=of )|(?<=if )|(?<=whether ))(?:(?:both|all|these|those)(?: the)?|(?:the )?(?:two|three|four|five|six)) (?:possible )?(?P<noun>case|option|possibilit|value|candidate|number|scenario|method|term|sum)(?:s|ies)\b"
    r"(?P<verb> (?:are|satisfy|work|have|give|hold)\b)?"
)
_SINGULAR = {" are": " is", " have": " has", " satisfy": " satisfies"}

_TAG_SHAPED = re.compile(r"</?\w+>")
_DANGLES = re.compile(r"\b(?:of|to|by|with|for|at|the|an?|and|or|from|in|on|when|if|is|are|using)$|[=<>+:]$")
_PAIRS = (("\\(", "\\)"), ("(", ")"), ("{", "}"), ("[", "]"))
_WITH_ARTICLE = frozenset("place digit side quadrant term column row numerator denominator part equation sum".split())
_PLACES = frozenset("place quadrant column row".split())
_CASE = re.compile(r"(?:case|method|option|way|approach|possibility|scenario|interpretation)$")
VERBS = dict.fromkeys(("option", "choice", "candidate"), "check") | dict.fromkeys(("method", "approach", "way"), "use")


@dataclass(frozen=True, slots=True)
class _Member:
    """A headed part of a thread: what an outline may call it, and what it assumes."""

    head: Head
    name: str
    """Within a sentence: "case 1", "n = 3", "the tens place"."""
    subject: str
    """What a labelled part assumes or sets out to do; empty where it does not say."""

    @property
    def variable(self) -> str:
        return self.head.key.split(" ", 1)[1] if self.head.kind in ("instance", "case") else ""

    @property
    def given(self) -> str:
        return self.subject if self.head.kind == "label" else self.head.slot


def propose_outlines(problem: str, context: str, threads: Sequence[str]) -> list[str]:
    """Return one outline per thread, from its headings and the task that the context states for all of them.

    The list is empty if nothing announces one of them: no task, no label that says what it assumes, no distinction that
    the context introduces. `problem` is not read.
    """
    members = [_members(thread) for thread in threads]
    if not all(members):
        return []
    everyone = [part for parts in members for part in parts]
    aim = _aim_of(context, everyone)
    outlines = []
    for parts in members:
        plans = [_plan(part, everyone, aim, context[-_NEAR:]) for part in parts]
        outlines.append(_whole("; then ".join(plans)) if all(plans) else None)
    return outlines if all(outlines) and len({outline.lower() for outline in outlines}) == len(outlines) else []


def _members(thread: str) -> list[_Member]:
    """Return the headed parts of a thread: one, or several where short members were joined."""
    found: list[_Member] = []
    for line in thread.strip().split("\n"):
        head = head_of(line)
        if not found and head is None:
            return []
        if head and (not found or _is_peer(head, found[0].head)):
            found.append(_member(head, line))
    return found


def _is_peer(head: Head, first: Head) -> bool:
    return head.key == first.key and (head.kind != "title" or parallel_titles([first.slot, head.slot]))


def _member(head: Head, line: str) -> _Member:
    if head.kind in ("instance", "case"):
        formula = "\\" in head.label or "{" in head.label
        return _Member(head, f"${head.label}$" if formula else head.label, "")
    if head.kind == "title":
        return _Member(head, _lower(head.label), "")
    name = "the " * head.key.startswith("ordinal") + head.label[:1].lower() + head.label[1:]
    return _Member(head, name, _subject(line[head.end : MAX_LINE]) or "")


def _plan(member: _Member, everyone: Sequence[_Member], aim: str | None, near: str) -> str | None:
    """Return what a member sets out to do, None if nothing says it."""
    kind, name, subject = member.head.kind, member.name, member.subject
    noun = member.head.key.split(" ")[0]
    if aim and (named := _aim_of_one(aim, member, everyone)):
        plan = named
    elif kind == "label" and (not subject or (noun == "ordinal" and not _CASE.search(name))):
        return None
    elif aim and kind == "title" and name.split()[-1] in _PLACES and not _EACH.search(aim):
        plan = f"{aim} in {name}"
    elif aim and subject:
        plan = f"{name}, {subject}: {aim}"
    elif kind == "label":
        plan = f"{VERBS.get(noun, 'work out')} {name}: {subject}"
    elif member.variable and _introduced(everyone, near):
        plan = f"work out the case {'that ' * (' is ' in name)}{name}"
    else:
        return None
    return plan


def _aim_of(context: str, everyone: Sequence[_Member]) -> str | None:
    """Return the task that the last sentences state: one that speaks of all members, or any of the last two."""
    sentences = [piece for piece in _SENTENCE_END.split(context[-_TAIL:]) if piece.strip(" *-")]
    aims = [_task(sentence) for sentence in sentences[: -_SENTENCES - 1 : -1]]
    named = [aim for aim in aims if aim and _aim_of_one(aim, everyone[0], everyone)]
    return next((aim for aim in [*named, *aims[:2]] if aim), None)


def _task(sentence: str) -> str | None:
    sentence = _PASSIVE.sub(r"\g<verb>\g<out> each \g<noun>", sentence)
    match = _IMPERATIVE.match(sentence) or _INTENT.match(sentence)
    if match is None:
        return None
    stem = match["stem"].lower()
    rest = _ONE_BY_ONE.sub("", _CUT.sub("", match["rest"])).strip()
    vague = _VAGUE.match(rest) or len(rest.split()) >= _MAX_WORDS
    return None if vague else f"{stem}{'e' * (stem in _DROPS_E)}{(match['particle'] or '').lower()} {rest}"


def _aim_of_one(aim: str, member: _Member, everyone: Sequence[_Member]) -> str | None:
    """Return the task of all members as that of one, None if it does not speak of each or all of them, or list them."""
    name, subject, variable = member.name, member.subject, member.variable
    full = f"{name}, {subject}" if subject and not name.startswith("the ") else name
    if match := _EACH.search(aim):
        before, rest, noun = aim[: match.start()], aim[match.end() :], match["noun"].strip("\\()$ ")
        if noun == variable or before.endswith("for ") or _is_of(noun, name):
            return f"{before}{full}{rest}"
        if _is_of(noun, subject):
            return f"{before}{subject}{rest}"
        own = f"the {match['noun']} {'for' if variable else 'of'} {full}"
        return f"{before}{own}{rest}" if variable or full != name else None
    if (match := _ALL.search(aim)) and (variable or subject or _is_of(match["noun"], name)):
        verb = match["verb"] or ""
        return f"{aim[: match.start()]}{full}{_SINGULAR.get(verb, verb and f'{verb}s')}{aim[match.end() :]}"
    for part in (lambda one: one.given, lambda one: _apart(one, everyone)):
        told = _without_others(aim, part(member), [part(one) for one in everyone])
        if told != aim and subject:
            return told if subject in told else f"{full}: {told}"
        if told != aim:
            return re.sub(rf"\b{re.escape(part(member))} {re.escape(name.split()[-1])}s\b", lambda _: name, told)
    return None


def _is_of(noun: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(noun)}\b", name, re.IGNORECASE) is not None


def _without_others(aim: str, own: str, listed: Sequence[str]) -> str:
    """Return a task in which a list of all members ("modulo 7, modulo 11 and modulo 13") is replaced by one of them."""
    if not all(listed) or (len(own) == 1 and own.isalpha()):
        return aim
    pattern = r"(?:[\s,$]|\b(?:and|or)\b)+".join(map(re.escape, listed)) + r"(?: and \w.*)?"
    return re.sub(pattern, lambda match: own + "$" * (match[0].count("$") % 2), aim, flags=re.IGNORECASE)


def _apart(member: _Member, everyone: Sequence[_Member]) -> str:
    """Return the one word in which a member's name or subject differs from the others', empty if there is none."""
    own, *rows = [re.findall(r"[\w.]{2,}|\d|\S", one.given) for one in [member, *everyone]]
    places = [at for at, words in enumerate(zip(*rows, strict=False)) if len(set(words)) > 1]
    return own[places[0]] if len(places) == 1 and len(set(map(len, rows))) == 1 else ""


def _introduced(everyone: Sequence[_Member], near: str) -> bool:
    """Whether the context introduces the variable, and says what it may be ("the parity of n") or that there are cases."""
    words = {one.head.slot for one in everyone}
    named = all(word.isalpha() and word in near.lower().replace("parity", "odd or even") for word in words)
    announced = everyone[0].head.kind == "case" and re.search(r"\b(?:cases|each|separately|in turn)\b", near)
    return (named or announced) and re.search(rf"(?<!\w){re.escape(everyone[0].variable)}(?!\w)", near) is not None


def _subject(text: str) -> str | None:
    """Return what a heading assumes or sets out to do, None if it says nothing."""
    text = text[_LEADING.match(text).end() :]
    if _TELLS.match(text):
        return None
    end = _CLAUSE_END.search(text)
    text = " ".join((text[: end.start()] if end else text).split()).strip(" :,.*_")
    text += "$" if text.count("$") % 2 else " \\)" if text.count("\\(") > text.count("\\)") else ""
    if len(text) < 3 or _DANGLES.search(text):
        return None
    return text if re.search(r"[A-Za-z]{3,}|[$=<>]|\\\(", text) else None


def _whole(text: str) -> str | None:
    """Return an outline on one line, None if a formula or a bracket was cut in two."""
    text = re.sub(r"\*{2,}|_{2,}|`", "", text[:1].upper() + text[1:]).strip()
    cut = text.count("$") % 2 or text.count("|") % 2 or any(text.count(a) != text.count(b) for a, b in _PAIRS)
    return None if cut or _TAG_SHAPED.search(text) or len(text.split()) > MAX_WORDS else text


def _lower(title: str) -> str:
    """Return a title within a sentence: "the tens place", "modulo 7"; names and formulas keep their capitals."""
    words = [
        word.lower() if word.isalpha() and len(word) > 2 and word[1:].islower() else word for word in title.split()
    ]
    article = len(words) > 1 and words[0] not in ("the", "a", "an") and words[-1] in _WITH_ARTICLE
    return " ".join(["the", *words] if article else words)
