"""Datasets on the Hugging Face hub by name, streamed: `open-r1/OpenR1-Math-220k:default/train`.

`HF_ENDPOINT`, `HF_HOME` and the offline mode are those of the `datasets` library; offline, its cache is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from threadweaver.errors import UserError, setting

_NAME = re.compile(r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(?::(?P<subset>[^/:]*)(?:/(?P<split>[^/:]+))?)?")


@dataclass(frozen=True, slots=True)
class HubName:
    name: str
    subset: str | None = None
    split: str | None = None


def parse(text: str) -> HubName | None:
    """Return the name, subset and split of a dataset on the hub, or None if the text cannot be one."""
    found = _NAME.fullmatch(text)
    if not found or found["name"].endswith((".jsonl", ".json", ".parquet", ".csv", ".tsv", ".gz", ".zst", ".xz")):
        return None
    return HubName(found["name"], found["subset"] or None, found["split"] or None)


def rows(named: HubName, split: str | None, subset: str | None) -> Iterator[tuple[str, Mapping | None, str]]:
    """Yield the rows of a dataset on the hub; raises UserError when it cannot be read, in one line."""
    import pyarrow
    from datasets.exceptions import DatasetsError

    split, subset = split or named.split, subset or named.subset
    try:
        for number, fields in enumerate(_stream(named.name, split, subset)):
            yield f"{named.name}, row {number}", fields, ""
    except UnicodeDecodeError:
        raise UserError(f"{named.name} holds text that is not UTF-8: download it, and read its files") from None
    except (DatasetsError, OSError, ValueError, RuntimeError, TypeError, pyarrow.ArrowException) as error:
        raise UserError(_refusal(named.name, error)) from None


def _stream(name: str, split: str | None, subset: str | None) -> Iterator[Mapping]:
    from datasets import config, load_dataset
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # every retry of an endpoint that does not answer would be a line
    found = load_dataset(name, subset, streaming=not config.HF_HUB_OFFLINE)
    if split is None and "train" not in found and len(found) > 1:
        raise UserError(
            f"{name} holds several splits ({', '.join(found)}): choose one with --split {next(iter(found))}"
        )
    chosen = split or ("train" if "train" in found else next(iter(found)))
    if chosen not in found:
        raise UserError(f"{name} has no split {chosen!r} ({', '.join(found)}): choose one with --split")
    return iter(found[chosen])


def _refusal(name: str, error: Exception) -> str:
    text = " ".join(str(error).split())
    if configs := re.search(r"available configs: \[([^\]]*)\]", text):
        listed = configs[1].replace("'", "")
        return f"{name} holds several subsets ({listed}): choose one with --subset {listed.split(',')[0]}"
    if missing := re.search(r"BuilderConfig '([^']*)' not found. Available: \[([^\]]*)\]", text):
        listed = missing[2].replace("'", "")
        return f"{name} has no subset {missing[1]!r} ({listed}): choose one with --subset {listed.split(',')[0]}"
    from datasets import config

    hint = "offline mode is on (HF_HUB_OFFLINE), and it is not in the cache" if config.HF_HUB_OFFLINE else text[:160]
    return (
        f"{name} is neither a file nor a dataset that the hub gives ({hint}): check the name and the connection, or "
        f"download it and name its folder with {setting('--dataset_path', 'DATASET_PATH')}"
    )
