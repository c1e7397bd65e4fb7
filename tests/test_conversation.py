"""A conversation with a scripted model: repairs, what they cost, what is passed on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from threadweaver.annotators import llm
from threadweaver.annotators.llm import prompts, validation
from threadweaver.annotators.llm.conversation import Conversation
from threadweaver.client import Reply, Usage
from threadweaver.client.errors import GaveUp, ServerDown, ServerFault
from threadweaver.client.settings import ClientSettings
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.questions import EditQuestion

ROOT = Path(__file__).parents[1]

PASSAGE = r"Similarly, for the other root we get $\frac{1}{2} \times \beta \neq \nu$ and so on. We are done, we think."
EDITS = EditQuestion(0, "p", "c", ("sibling", PASSAGE), (1, 2), ("", ""))


class ScriptedClient:
    """Answers from a list of (text, status) or errors, and records requests and verdicts."""

    settings = ClientSettings(output_limit=777)

    def __init__(self, *replies):
        self.replies, self.asked, self.verdicts = list(replies), [], []

    async def ask(self, request, *, label=""):
        self.asked.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        text, status = reply if isinstance(reply, tuple) else (reply, "ok")
        return Reply(text, status, Usage(100, 40, 10, 4), 0.25, False, "", key=str(len(self.asked)))

    def judge(self, key, verdict, why="", *, label=""):
        self.verdicts.append((key, verdict, why))


REPAIR = prompts.load(prompts.FOLDER / llm.REPAIR_PROMPT, llm.REPAIR_PLACEHOLDERS)


def converse(turns, *replies, question=EDITS):
    client = ScriptedClient(*replies)
    judge = lambda text, before: validation.validate_edits(question, text, before)  # noqa: E731
    answer = asyncio.run(Conversation(client, {"effort": "low"}, REPAIR, "step3").run(turns, judge))
    return client, answer


FIX = '{"2": [{"src": "Similarly, for", "dest": "For"}]}'


def test_a_good_reply_is_accepted_at_once_and_counted():
    client, answer = converse(["ask"], FIX)
    assert answer.value == {2: [Replacement("Similarly, for", "For")]} and answer.reason is None
    assert client.verdicts == [("1", "accepted", "")]
    assert answer.facts == {
        "ledger": [{"about": "", "keys": [client.asked[0].key[:16]]}],
        "calls": 1,
        "accepted_first": 1,
        "repairs": 0,
        "tokens_in": 100,
        "tokens_cached": 40,
        "tokens_out": 10,
        "tokens_reasoning": 4,
        "cost_usd": 0.25,
    }


def test_the_repair_turn_quotes_what_is_wrong_and_its_reply_counts():
    bad = '{"2": [{"src": "Likewise, for", "dest": "For"}]}'
    client, answer = converse(["ask"], bad, FIX)
    assert [message.role for message in client.asked[1].messages] == ["user", "assistant", "user"]
    assert client.asked[1].messages[1].content == bad
    assert client.asked[1].messages[2].content == (
        "Your last reply cannot be used as it stands:\n"
        '- Thread 2: The src "Likewise, for" does not occur in this thread, or only inside a word: copy it character '
        "for character.\n"
        "Write the whole reply again in the form that was asked for, with this mended and all else as it was. "
        "Write nothing before or after it."
    )
    assert answer.value == {2: [Replacement("Similarly, for", "For")]} and "problems" not in answer.facts
    assert client.verdicts == [("1", "repaired", "not_found"), ("2", "accepted", "")]
    assert (answer.facts["calls"], answer.facts["accepted_first"], answer.facts["repairs"]) == (2, 0, 1)


def test_what_cannot_be_applied_after_the_repair_is_returned_to_be_skipped_and_recorded():
    bad = '{"2": [{"src": "Likewise, for", "dest": "For"}]}'
    client, answer = converse(["ask"], bad, bad)
    assert answer.value == {2: [Replacement("Likewise, for", "For")]} and answer.facts["problems"] == ["not_found"]
    assert client.verdicts == [("1", "repaired", "not_found"), ("2", "accepted", "not_found")]


def test_what_is_unreadable_about_one_thread_loses_nothing_of_the_others():
    bad = '{"2": [{"src": "Similarly, for", "dest": "For"}], "1": "it stays"}'
    client, answer = converse(["ask"], bad, bad)
    assert answer.value == {2: [Replacement("Similarly, for", "For")]}
    assert answer.facts["problems"] == ["unreadable_edits"]
    assert "- Thread 1: an element is not an object" in client.asked[1].messages[2].content


@pytest.mark.parametrize(
    ("first", "second", "code", "why"),
    [
        ("prose", "more prose", "unreadable_edits", "unreadable_edits"),
        (("", "empty"), ("", "empty"), "empty", "empty"),
        (("[", "truncated"), ("No.", "refused"), "refused", "truncated"),
        (("No.", "refused"), "prose", "unreadable_edits", "refused"),
    ],
)
def test_a_reply_that_stays_unusable_fails_with_its_code_and_is_rejected(first, second, code, why):
    client, answer = converse(["ask"], first, second)
    assert answer.value is None and answer.reason == code and answer.facts["error"]
    assert client.verdicts == [("1", "rejected", why), ("2", "rejected", code)]


def test_a_complete_object_in_a_truncated_reply_is_not_accepted():
    client, answer = converse(["ask"], (FIX, "truncated"), ("{}", "truncated"))
    assert answer.value is None and answer.reason == "truncated"
    assert "777 output tokens" in client.asked[1].messages[-1].content


def test_a_repair_that_is_worse_leaves_the_first_reply_in_place():
    one_wrong = '{"2": [{"src": "Similarly, for", "dest": "For"}, {"src": "absent", "dest": ""}]}'
    client, answer = converse(["ask"], one_wrong, ("", "empty"))
    assert [item.src for item in answer.value[2]] == ["Similarly, for", "absent"]
    assert answer.facts["problems"] == ["not_found", "repair_empty"]
    assert client.verdicts == [("1", "accepted", "not_found"), ("2", "unused", "empty")]


def test_a_cut_reply_is_shown_in_part_and_an_empty_one_by_a_word():
    client, _ = converse(["ask"], ("x" * 9000, "truncated"), FIX)
    assert len(client.asked[1].messages[1].content) == 1000
    client, _ = converse(["ask"], ("", "empty"), FIX)
    assert client.asked[1].messages[1].content == "(no text)"


def test_a_repaired_turn_continues_as_if_it_had_been_right_at_once():
    client, answer = converse(["one", "two"], ("", "empty"), "steps", FIX)
    assert [tuple(message) for message in client.asked[2].messages] == [
        ("user", "one"),
        ("assistant", "steps"),
        ("user", "two"),
    ]
    titles = [line for line in answer.chat.split("\n") if line.startswith("===")]
    assert titles == [
        "=== turn 1: question ===",
        "=== turn 1: answer (empty) ===",
        "=== turn 1, repair: question ===",
        "=== turn 1, repair: answer ===",
        "=== turn 2: question ===",
        "=== turn 2: answer ===",
    ]


def test_a_call_without_a_reply_fails_the_sample_with_its_code_and_no_verdict():
    client, answer = converse(["one", "two"], "steps", GaveUp("gave up after 8 tries", ServerFault("503")))
    assert answer.value is None and answer.reason == "server_fault" and "gave up" in answer.facts["error"]
    assert answer.facts["calls"] == 1 and client.verdicts == [("1", "accepted", "")]


def test_an_error_that_ends_the_run_is_not_a_samples_failure():
    with pytest.raises(ServerDown):
        converse(["ask"], ServerDown("nothing answers"))
