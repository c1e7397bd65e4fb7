"""Publishing: the bundle is the dataset with its recipe, and what is pushed is the bundle, private unless asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.damage import load
from fake_hub_of_pushes import FakeHub
from project import ROOT
from threadweaver.errors import UserError
from threadweaver.exports import bundle
from threadweaver.files import read_jsonl, sha256
from threadweaver.ledger import Ledger, transfer
from threadweaver.runs.account import Account, StageAccount

SAMPLE = ROOT / "data" / "sample"
publish = load("publish").main


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a saved dataset of three sequential chains, their collected chains, and a ledger of more replies."""
    folder = tmp_path_factory.mktemp("run")
    chains = ["--dataset_path", SAMPLE / "chains.jsonl", "--max_samples", 3, "--output_path", folder / "collected"]
    load("collect_trajectories").main([str(word) for word in chains])
    words = ["--input", folder / "collected/collected.jsonl", "--trajectory-glob", folder / "collected/*.txt"]
    words += ["--tokenizer", SAMPLE / "tokenizer", "--output", folder / "dataset", "--repeat", 1, "--license", "mit"]
    load("save_dataset").main([str(word) for word in words])
    ledger = Ledger(folder / "ledger.sqlite")
    transfer.load(ledger, SAMPLE / "recorded.jsonl")
    ledger.close()
    return folder


@pytest.fixture
def hub(monkeypatch):
    """Return a hub, which the client then takes for the real one."""
    import huggingface_hub.constants as constants

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def point_at(served: FakeHub) -> FakeHub:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        return served

    return point_at


def run(made: Path, output: Path, *flags: object) -> int:
    words = ("--dataset", made / "dataset", "--output", output, *flags)
    return publish([str(word) for word in words])


def test_a_bundle_is_the_dataset_as_saved_with_its_recipe(made, tmp_path, capsys):
    from datasets import load_dataset

    assert run(made, tmp_path / "out", "--ledger", made / "ledger.sqlite") == 0
    out = tmp_path / "out"
    saved = json.loads((made / "dataset/files.json").read_text())["files"]
    assert {name for name in saved if (out / name).read_bytes() != (made / "dataset" / name).read_bytes()} == {
        "README.md"
    }
    assert (out / "README.md").read_text().startswith((made / "dataset/README.md").read_text().rstrip())
    stages = [stage["stage"] for stage in json.loads((out / "recipe/settings.json").read_text())]
    assert stages == ["collect", "save"]
    assert load_dataset(str(out), cache_dir=str(tmp_path / "cache"))["train"].num_rows == 3
    assert run(made, out, "--ledger", made / "ledger.sqlite") == 0
    assert "is the bundle of this dataset" in capsys.readouterr().out
    with pytest.raises(UserError, match="other settings"):
        run(made, out)


def test_only_the_replies_to_this_runs_questions_are_in_it(made, tmp_path):
    run(made, tmp_path / "out", "--ledger", made / "ledger.sqlite")
    problems = [row["problem"] for _, row, _ in read_jsonl(SAMPLE / "chains.jsonl")][:3]
    entries = [row for _, row, _ in read_jsonl(SAMPLE / "recorded.jsonl")]
    asked = {row["key"] for row in entries if any(text in row["request"]["messages"][0][1] for text in problems)}
    found = [row["key"] for _, row, _ in read_jsonl(tmp_path / "out/recipe/replies.jsonl")]
    assert 0 < len(found) == len(asked) < len(entries) and set(found) == asked
    assert f"{len(found)} replies" in (tmp_path / "out/recipe/README.md").read_text()
    run(made, tmp_path / "without")
    assert not (tmp_path / "without/recipe/replies.jsonl").exists()


def test_a_short_problem_is_found_too():
    class Entry:
        request = json.dumps({"messages": [["user", f"{'x' * 60} What is 2 + 3? y"]]})

    assert bundle.about(["What is 2 + 3?"])(Entry) and bundle.about(["x" * 50])(Entry)
    assert not bundle.about(["What is 2 + 4?", "", "x" * 70])(Entry)


def test_prompts_are_those_of_the_run_or_it_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("ask")
    stage = StageAccount("steps", tmp_path, {"prompt": "a.txt", "prompt_sha256": sha256("ask")}, ())
    assert bundle._prompts(Account((stage,)), tmp_path) == [tmp_path / "a.txt"]
    (tmp_path / "a.txt").write_text("ask again")
    with pytest.raises(UserError, match=r"a\.txt is not the prompt of"):
        bundle._prompts(Account((stage,)), tmp_path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda files: files | {"sample_3/train.parquet": "0"}, "not as it was saved"),
        (lambda files: files | {"../outside": "0"}, "outside the dataset"),
        (lambda files: {}, "not a finished dataset"),
    ],
)
def test_a_dataset_that_is_not_as_saved_is_refused(made, tmp_path, damage, says):
    import shutil

    shutil.copytree(made / "dataset", tmp_path / "dataset")
    listed = json.loads((tmp_path / "dataset/files.json").read_text())
    (tmp_path / "dataset/files.json").write_text(json.dumps(listed | {"files": damage(listed["files"])}))
    with pytest.raises(UserError, match=says):
        run(tmp_path, tmp_path / "out")


def test_what_is_pushed_is_the_bundle_and_it_is_private(made, tmp_path, hub, capsys):
    with FakeHub() as served:
        hub(served)
        assert run(made, tmp_path / "out", "--repo", "me/set") == 0
    bundled = {
        str(path.relative_to(tmp_path / "out")): path for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert served.files == {name: path.read_bytes() for name, path in bundled.items() if name != "export.json"}
    assert served.private and {"Bearer hf_secret"} <= served.tokens <= {"Bearer hf_secret", None}
    said = capsys.readouterr()
    assert "(private)" in said.out and "hf_secret" not in said.out + said.err


@pytest.mark.parametrize(
    ("served", "flags", "says"),
    [
        (FakeHub(exists=True, private=False), (), "exists and is public"),
        (FakeHub(refuse=403), (), r"refused me/set \(403\)"),
        (None, (), "cannot be reached"),
    ],
    ids=["public", "refused", "not reached"],
)
def test_what_cannot_be_pushed_is_one_line(made, tmp_path, hub, monkeypatch, served, flags, says):
    import huggingface_hub.constants as constants

    if served is None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(UserError, match=says):
            run(made, tmp_path / "out", "--repo", "me/set", *flags)
        return
    with hub(served), pytest.raises(UserError, match=says):
        run(made, tmp_path / "out", "--repo", "me/set", *flags)
    assert served.files == {}


def test_without_a_token_nothing_is_called(made, tmp_path, hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with FakeHub() as served, pytest.raises(UserError, match="no token for the hub"):
        hub(served)
        run(made, tmp_path / "out", "--repo", "me/set")
    assert served.tokens == set()


def test_a_name_that_is_none_is_one_line(made, tmp_path, hub):
    with FakeHub() as served, pytest.raises(UserError, match="not a name"):
        hub(served)
        run(made, tmp_path / "out", "--repo", "me/../set")
