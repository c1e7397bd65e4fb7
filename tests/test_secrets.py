"""Keys and passwords are not told, however they are quoted; words of a text stay."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from threadweaver.client.credentials import NO_KEY, find_base_url
from threadweaver.client.secrets import Key, scrub, scrub_reply, shown_url
from threadweaver.errors import UserError

VALUE = "my/secret+KEY.value_0099:xyz"


@pytest.mark.parametrize("before", ["", "x", "xy", "Bearer "])
@pytest.mark.parametrize(
    "quoted",
    [
        lambda key: key,
        lambda key: key[:-4] + "\n" + key[-4:],
        lambda key: key[5:],
        lambda key: quote(key, safe=""),
        lambda key: json.dumps(key).replace("/", "\\/"),
        lambda key: f"{key}{key}",
    ],
)
def test_no_part_of_a_key_is_told(before, quoted):
    said = scrub(f"bad {before}{quoted(VALUE)} here", Key(VALUE))
    assert not any(VALUE[at : at + 10] in said for at in range(len(VALUE) - 9))
    assert said.startswith("bad ") and said.endswith(" here")


@pytest.mark.parametrize("before", ["", "x", "Bearer ", "ab: "])
def test_a_key_in_base64_is_not_told(before):
    coded = base64.b64encode(f"{before}{VALUE} and more".encode()).decode()
    left = scrub(f"bad {coded}", Key(VALUE)).removeprefix("bad ").split("[key]")
    assert len(left) == 2 and len(left[0]) <= len(before) * 4 / 3 + 4


@pytest.mark.parametrize(
    ("key", "text", "shown"),
    [
        ("k", "Bearer k is no key, keep", "Bearer [key] is no key, keep"),
        ("abc12", "bad abc12.", "bad [key]."),
        ("x", "x-ray, axe", "[key]-ray, axe"),
        ("other", "sk-proj-ABCDEFGH1234 and gsk_ABCDEFGH1234", "[key] and [key]"),
    ],
)
def test_short_keys_and_keys_of_others(key, text, shown):
    assert scrub(text, Key(key)) == shown


def test_a_word_for_no_key_is_a_word():
    assert scrub("none of these", NO_KEY) == "none of these"


@pytest.mark.parametrize(
    ("key", "text", "kept"),
    [
        ("test", "a test of x", "a test of x"),
        ("x", "x = 1", "x = 1"),
        ("abc12", "so abc12 is it", "so [key] is it"),
        (VALUE, f"the header {VALUE}, and more", "the header [key], and more"),
    ],
)
def test_a_reply_loses_the_key_and_no_word(key, text, kept):
    assert scrub_reply(text, Key(key)) == kept


@pytest.mark.parametrize(
    "url",
    [
        "ftp://user:S3CRET@host/v1",
        "https://user:S3CRET@host:99999/v1",
        "https://user:S3/CRET@host/v1",
        "user:S3CRET@host/v1",
        "http://h/v1?api-key=S3CRET&api-version=2024",
        "http://h/v1?sig=S3CRET",
        "http://h\x1b/v1?token=S3CRET",
    ],
)
def test_a_url_is_shown_without_its_secrets(url):
    shown = shown_url(f"no connection to {url}: refused" if "@" not in url or "//" in url else url)
    assert "CRET" not in shown and shown.isprintable()
    assert "api-version=2024" in shown or "api-version" not in url


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://a\x01b/v1",
        "http://ä..com/v1",
        "http://a b/v1",
        "http://h:0/v1",
        "http://h:x/v1",
        "http://<host>/v1",
        "user:S3CRET@host/v1",
        "http://u:S3CRET@h/v1",
        "http://",
        "localhost:8000/v1",
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_in_one_line(url):
    with pytest.raises(UserError) as raised:
        find_base_url(url, {})
    assert str(raised.value).isprintable() and "S3CRET" not in str(raised.value)


def test_urls_that_can():
    for url in (
        "http://[::1]:80/v1",
        "http://münchen.de/v1",
        "https://x.azure.com/openai?api-version=1",
        "http://a_b/v1",
    ):
        assert find_base_url(url, {}) == url
