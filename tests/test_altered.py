"""Files of a finished run that are damaged: a few of the sweep of `bench/altered.py`, over two samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import altered

COUNT = 2
SAMPLED = [  # one of each kind of file and way that the tables of test_given.py do not reach: through the commands
    ("c/collected", "one value", True),
    ("s1/annotation", "halved", False),
    ("s1/settings.json", "deleted", True),
    ("s2/account.jsonl", "other types", True),
    ("s3/manifest.json", "nested", False),
    ("s5/text", "emptied", False),
    ("s5/account.jsonl", "one value", False),
    ("d/parquet", "halved", True),
    ("s5/99.txt", "added", False),
]


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("altered") / "run"  # as its copies: the source is named after it
    altered.make_run(folder, "rules", COUNT)
    return folder


@pytest.mark.parametrize(("name", "way", "resumed"), SAMPLED)
def test_a_damage_is_healed_or_told(clean, tmp_path, name, way, resumed):
    path = altered.targets(clean).get(name, name)
    verdict = altered.meet(altered.Damage(name, path, way, resumed), clean, tmp_path, "rules", COUNT)
    assert verdict.kind in ("healed", "told"), verdict.detail


@pytest.mark.parametrize(("name", "way"), [("s5/account.jsonl", "other types"), ("c/collected", "nested")])
def test_a_damaged_run_can_be_looked_at(clean, tmp_path, name, way):
    verdict = altered.view(altered.Damage(name, altered.targets(clean)[name], way, False), clean, tmp_path)
    assert verdict.kind == "shown", verdict.detail
