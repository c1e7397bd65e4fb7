"""The kept form of a tokenizer: the same tokens, and never those of other files."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from project import ROOT
from threadweaver.corpus import token_cache, tokenizer
from threadweaver.corpus.tokenizer import Tokenizer, load_tokens

SAMPLE = ROOT / "data" / "sample" / "tokenizer"
EMPTIED = b"0123456789abcdef\n" + (SAMPLE / "tokenizer.json").read_bytes().replace(b"Parallel", b"parallel")
TEXT = "<Parallel>\n<Outlines>\n1: Wir prüfen $x^2 = 4$ — 両方 🙂</Outlines> so x=±2.\n\n  Then"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "threadweaver" / "tokenizers"


@pytest.fixture
def folder(tmp_path) -> str:
    return str(shutil.copytree(SAMPLE, tmp_path / "tokenizer"))


def transformers_is_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(tokenizer, "load_tokenizer", lambda name: pytest.fail("loaded in full"))


def test_the_second_load_cuts_texts_the_same_without_transformers(folder, monkeypatch):
    first = load_tokens(folder)
    transformers_is_left_alone(monkeypatch)
    second = load_tokens(folder)
    assert isinstance(first, Tokenizer) and not isinstance(second, Tokenizer)
    assert (second.ids(TEXT), second.starts(TEXT)) == (first.ids(TEXT), first.starts(TEXT))


def test_the_folder_may_be_moved(folder, tmp_path, monkeypatch):
    load_tokens(folder)
    moved = shutil.move(folder, tmp_path / "moved")
    transformers_is_left_alone(monkeypatch)
    assert load_tokens(str(moved)).count(TEXT) > 20


def test_a_changed_file_is_another_tokenizer(folder):
    before = load_tokens(folder).count("<Parallel>")
    path = Path(folder) / "tokenizer.json"
    described = json.loads(path.read_text())
    described["added_tokens"] = [token for token in described["added_tokens"] if token["content"] != "<Parallel>"]
    described["model"]["vocab"].pop("<Parallel>", None)
    path.write_text(json.dumps(described))
    assert before == 1 and load_tokens(folder).count("<Parallel>") > 1


@pytest.mark.parametrize("library", ["transformers", "tokenizers"])
def test_another_version_of_a_library_is_another_tokenizer(folder, monkeypatch, library):
    before, version = token_cache.place_of(Path(folder)), metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0" if name == library else version(name))
    assert token_cache.place_of(Path(folder)) != before


def test_a_tokenizer_whose_kept_form_would_cut_texts_otherwise_is_not_kept(folder, cache):
    """transformers sets `encode_special_tokens`, which is not in the tokenizer's text."""
    path = Path(folder) / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"split_special_tokens": True}))
    first, second = load_tokens(folder), load_tokens(folder)
    assert first.count("<|im_end|>") > 1 and second.ids("<|im_end|>") == first.ids("<|im_end|>")
    assert not cache.exists()


def test_the_oldest_of_many_kept_ones_goes(folder, cache, monkeypatch):
    monkeypatch.setattr(token_cache, "MOST", 2)
    for number in range(4):
        (Path(folder) / "note.json").write_text(str(number))
        load_tokens(folder)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"{}", EMPTIED, b'{"version": "1.0", "trunc', b"\xff"])
def test_a_damaged_kept_file_is_made_again(folder, cache, damage):
    whole = load_tokens(folder).ids(TEXT)
    [kept] = cache.iterdir()
    before = kept.read_bytes()
    kept.write_bytes(damage)
    assert load_tokens(folder).ids(TEXT) == whole and kept.read_bytes() == before


def test_where_nothing_can_be_kept_it_is_loaded_each_time(folder, cache):
    cache.parent.parent.write_text("a file, where a folder has to be made")
    assert load_tokens(folder).ids(TEXT) == load_tokens(folder).ids(TEXT)


def test_a_folder_without_a_tokenizer_is_not_read(tmp_path):
    (tmp_path / "0.txt").write_text("a sample")
    assert token_cache.place_of(tmp_path) is None
