"""Shards: a run in k parts, each in folders of its own, that are merged into what one run would have made."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass

SETTING = "shard"
"""The setting of a folder that is one shard's."""
_WRITTEN = re.compile(r"(0|[1-9]\d{0,8})/([1-9]\d{0,8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of a source: of its rows r, those with r mod count = `number`."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `i/k`, i from 0; raises ValueError for anything else."""
        found = _WRITTEN.fullmatch(text)
        if not found or int(found[1]) >= int(found[2]):
            raise ValueError(f"{text!r} is not a shard i/k with i from 0 to k - 1, such as 0/8")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Shard | None:
        """Return the shard that a folder with these settings is, None if it is not one."""
        written = settings.get(SETTING)
        return cls.parse(written) if isinstance(written, str) else None

    def takes(self, row: int) -> bool:
        """Whether a row of the source, from 0, is in this shard."""
        return row % self.count == self.number

    @property
    def suffix(self) -> str:
        """What the names of its folders end in, as in src/shard.sh."""
        return f"_shard{self.number}of{self.count}"

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def shard(text: str) -> Shard:
    """Read a shard, for argparse."""
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
