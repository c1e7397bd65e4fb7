"""Where the key and the endpoint come from; in case of a fault: one line, no other key, no waiting."""

from __future__ import annotations

import os
import threading

import pytest

from threadweaver.client import credentials
from threadweaver.errors import UserError

OTHER = {"OPENAI_API_KEY": "another-key"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_key_comes_from_the_file_then_the_environment(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "key"
    assert credentials.find_key(None, {}) is None
    assert credentials.find_key(None, {"OPENAI_API_KEY": " k1 "}).value == "k1"
    path.write_text("k2\n")
    path.chmod(0o600)
    found = credentials.find_key(str(path), {"OPENAI_API_KEY": "k1"})
    assert (found.value, found.source) == ("k2", str(path)) and "k2" not in repr(found)
    assert capsys.readouterr().err == ""
    path.chmod(0o644)
    credentials.find_key(str(path), {})
    credentials.find_key(str(path), {})
    assert capsys.readouterr().err.count("chmod 600") == 1


@pytest.mark.parametrize("content", ["", "two words", "line\nline", "käy"])
def test_files_that_do_not_hold_a_key(tmp_path, content):
    (tmp_path / "key").write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as raised:
        credentials.find_key(str(tmp_path / "key"), {})
    assert not content or content not in str(raised.value)


def test_without_key_and_endpoint_the_options_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"OPENAI_API_KEY.*ANNOTATOR=rules"):
        credentials.key_for(credentials.OPENAI_URL, None, {})
    assert credentials.key_for("http://127.0.0.1:8000/v1", None, {}).value == "none"


def test_endpoints():
    env = {"OPENAI_BASE_URL": "http://a/v1/", "OPENAI_API_BASE": "http://b/v1"}
    assert credentials.find_base_url("http://c/v1", env) == "http://c/v1"
    assert credentials.find_base_url(None, env) == "http://a/v1"
    assert credentials.find_base_url(None, {"OPENAI_API_BASE": "http://b/v1"}) == "http://b/v1"
    assert credentials.find_base_url(None, {}) == credentials.OPENAI_URL
    for wrong in ("localhost:8000", "ftp://x/v1", "http://user:secret@host/v1"):
        with pytest.raises(UserError) as raised:
            credentials.find_base_url(wrong, {})
        assert "secret" not in str(raised.value)


def test_where_the_file_is_missing_the_environment_has_the_key_and_one_line_says_so(home, capsys):
    assert credentials.find_key(None, OTHER).value == "another-key"
    assert credentials.find_key(None, {}) is None and capsys.readouterr().err == ""
    for path, environment in ((str(home / "none"), {}), (None, {"OPENAI_KEY_PATH": "~/neither"})):
        with pytest.raises(UserError, match="was not found: correct --key-path"):
            credentials.find_key(path, environment)
        for _ in range(2):
            assert credentials.find_key(path, {**OTHER, **environment}).value == "another-key"
        said = capsys.readouterr().err
        assert said.count("was not found: OPENAI_API_KEY is used") == 1 and "another-key" not in said


def test_a_named_file_takes_precedence_over_the_environment(home):
    (home / "named").write_text("named-key")
    (home / "named").chmod(0o600)
    assert credentials.find_key(None, {**OTHER, "OPENAI_KEY_PATH": "~/named"}).value == "named-key"


@pytest.mark.parametrize(
    "content",
    [
        '{"key": "sk-1"}',
        "{sk-1}",
        '"sk-1"',
        "'sk-1'",
        "OPENAI_API_KEY=sk-1",
        "$KEY",
        "sk-1\tsk-2",
        "sk-1\x00",
        "=",
        "<sk-1>",
    ],
)
def test_what_does_not_look_like_a_key_is_refused_and_not_shown(home, content):
    (home / "key").write_text(content)
    for path, environment in (("~/key", {}), (None, {"OPENAI_API_KEY": content})):
        with pytest.raises(UserError, match="does not hold one API key") as raised:
            credentials.find_key(path, environment)
        assert "sk-" not in str(raised.value)


@pytest.mark.parametrize("value", ["sk-proj-aB_9-x", "eyJhbGci.eyJz.SflK+/w==", "12|abc", "user:pass", "none"])
def test_keys_that_servers_give_out_are_accepted(home, value):
    assert credentials.find_key(None, {"OPENAI_API_KEY": f" {value}\n"}).value == value


def test_a_named_pipe_is_read_when_somebody_writes_and_not_waited_for_when_nobody_does(home, monkeypatch):
    os.mkfifo(home / "pipe")
    writer = threading.Thread(target=lambda: (home / "pipe").write_text("piped-key\n"))
    writer.start()
    assert credentials.find_key("~/pipe", {}).value == "piped-key"
    writer.join()
    monkeypatch.setattr(credentials, "PIPE_SECONDS", 0.2)
    with pytest.raises(UserError, match="no key came through it"):
        credentials.find_key("~/pipe", {})


def test_process_substitution(home):
    ours, theirs = os.pipe()
    os.write(theirs, b"piped-key\n")
    os.close(theirs)
    try:
        assert credentials.find_key(f"/dev/fd/{ours}", {}).value == "piped-key"
        with pytest.raises(UserError, match="empty"):
            credentials.find_key(f"/dev/fd/{ours}", {})
    finally:
        os.close(ours)


def test_the_default_file_must_be_a_file(home):
    os.mkfifo(home / ".openai_api_key")
    with pytest.raises(UserError, match="is not a file"):
        credentials.find_key(None, OTHER)
    with pytest.raises(UserError, match="is not a file"):
        credentials.find_key("/dev/zero", OTHER)
    with pytest.raises(UserError, match="directory"):
        credentials.find_key(str(home), OTHER)
