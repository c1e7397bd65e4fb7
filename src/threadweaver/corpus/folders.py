"""Which files of a folder are the dataset: one split of one subset, never a mixture."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from threadweaver.errors import UserError, setting
from threadweaver.files import read_json
from threadweaver.samples import sample_key

_KINDS = (".parquet", ".arrow", ".jsonl", ".json", ".csv", ".tsv")
_SUFFIXES = tuple(kind + packing for kind in _KINDS for packing in ("", ".gz", ".zst", ".xz"))
_SHARD = re.compile(r"^(?:.*/)?([\w.]+?)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?\.")
_SPLIT = re.compile(r"(?:^|[/_.-])(train|training|validation|valid|val|dev|test|eval)(?=[/_.-])")
_DIGITS = re.compile(r"\d+")
_ABOUT = re.compile(r"^(?:account|manifest|settings|state|dataset_infos?|dataset_dict|files)\.jsonl?$")
_PLAIN_FOLDERS = ("data", "default", "main", "")


def files_of(path: Path, split: str | None, subset: str | None) -> list[Path]:
    """Return the files of a dataset's folder in order.

    Raises UserError when there are none, or when they are several splits or subsets and it is not said which.
    """
    if (path / "dataset_dict.json").is_file():
        path = path / _chosen(path, _splits_of(path), split, "split")
        split = None
    if (path / "collected.jsonl").is_file():  # next to the account, which is also a .jsonl
        return [path / "collected.jsonl"]
    if (path / "state.json").is_file():
        return _saved(path)
    found = sorted(_candidates(path), key=lambda file: sample_key(str(file)))
    for kind in _SUFFIXES:  # parquet before a copy of it as JSON lines
        if files := [file for file in found if file.name.endswith(kind)]:
            _refuse_others(path, found, files)
            return _one_split(path, files, split, subset)
    texts = next(path.glob("*.txt"), None)
    raise UserError(
        f"{path} holds chains as .txt: name their problems with --problems FILE"
        if texts
        else f"{path} holds no dataset ({', '.join(_KINDS)}): name another with {setting('--dataset_path', 'DATASET_PATH')}"
    )


def safe_name(name: str) -> str:
    return re.sub(r"[^\w.\-]+", "_", name) or "dataset"


def _candidates(path: Path) -> Iterable[Path]:
    for file in path.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if not hidden and file.name.endswith(_SUFFIXES) and not _ABOUT.match(file.name) and file.is_file():
            yield file


def _refuse_others(path: Path, found: list[Path], chosen: list[Path]) -> None:
    """Raise UserError if rows of another name lie beside the chosen files; `.json` may be anything, such as results."""
    own = {_stem(file) for file in chosen}
    if others := [file.name for file in found if _stem(file) not in own and not file.name.endswith(".json")]:
        raise UserError(f"{path} holds several datasets ({chosen[0].name}, {others[0]}): name one of these files")


def _stem(file: Path) -> str:
    return _DIGITS.sub("", file.name.partition(".")[0])


def _one_split(path: Path, files: list[Path], split: str | None, subset: str | None) -> list[Path]:
    folders = {file: _subset_of(str(file.relative_to(path))) for file in files}
    names = list(dict.fromkeys(folders.values()))
    usual = next((name for name in _PLAIN_FOLDERS if name in names), None)
    if len(names) > 1 or subset is not None:
        chosen = _chosen(path, names, subset if subset is not None else usual, "subset")
        files = [file for file in files if folders[file] == chosen]
    splits = {file: split_of(str(file.relative_to(path))) for file in files}
    names = list(dict.fromkeys(splits.values()))
    if len(names) > 1 or (split is not None and names != [""]):
        chosen = _chosen(path, names, split, "split")
        files = [file for file in files if splits[file] == chosen]
    alike = {_DIGITS.sub("", file.name): file.name for file in files}
    if len(alike) > 1:  # not the parts of one
        raise UserError(f"{path} holds several datasets ({', '.join(alike.values())}): name one of these files")
    return files


def split_of(name: str) -> str:
    """Return the split that a file's path names, "" if it names none."""
    if shard := _SHARD.match(name):
        return shard[1]
    found = _SPLIT.findall(name)
    return {"training": "train"}.get(found[-1], found[-1]) if found else ""


def _subset_of(name: str) -> str:
    """Return the folder that a file lies in, if it is not the name of a split."""
    first, inside, _ = name.partition("/")
    return first if inside and not split_of(f"{first}/") else ""


def _chosen(path: Path, names: list[str], wanted: str | None, what: str) -> str:
    """Return the split or subset that is wanted, `train` if nothing is said; raises UserError if it is not clear."""
    usual = wanted if wanted is not None else "train" if what == "split" and "train" in names else None
    if usual in names:
        return usual
    if wanted is None and len(names) == 1:
        return names[0]
    listed = ", ".join(name or "(none)" for name in names)
    why = f"has no {what} {wanted!r}" if wanted is not None else f"holds several {what}s"
    raise UserError(f"{path} {why} ({listed}): choose one with --{what} {names[0] if names else 'NAME'}")


def _splits_of(path: Path) -> list[str]:
    file = path / "dataset_dict.json"
    content = read_json(file)
    splits = content.get("splits") if isinstance(content, dict) else None
    if not isinstance(splits, list) or not splits or not all(isinstance(name, str) for name in splits):
        raise UserError(f"{file} is damaged (it names no splits): save the dataset again")
    return splits


def _saved(path: Path) -> list[Path]:
    """Return the arrow files of a dataset that `datasets` saved."""
    file = path / "state.json"
    state = read_json(file)
    listed = state.get("_data_files") if isinstance(state, dict) else None
    names = [item.get("filename") for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    files = [path / name for name in names if isinstance(name, str)]
    if not files or not all(item.is_file() for item in files):
        raise UserError(f"{file} is damaged (it names no data files that are there): save the dataset again")
    return files
