"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_QUOTA_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def cores() -> int:
    """Return the number of cores that the affinity mask and the cgroup's quota leave, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, math.ceil(_quota() or allowed)))


def _quota() -> float | None:
    """Return the cores that the cgroup grants, in shares of one; None without a limit."""
    try:
        if _QUOTA.is_file():
            quota, period = _QUOTA.read_text(encoding="ascii").split()[:2]
        else:
            quota, period = (path.read_text(encoding="ascii").strip() for path in _QUOTA_V1)
        return int(quota) / int(period) if quota.isdecimal() and int(quota) else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
