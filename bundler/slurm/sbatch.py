"""What jobs need, as options for sbatch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bundler.jobs.step import Step


def options(steps: Sequence[Step], words: Sequence[str]) -> list[str]:
    """Return the options for a job that runs `steps` one after another, then `words`, which win."""
    found = [*_needs(steps), *_time_limit(steps)]
    for step in steps:
        found += _scheduling(step)
    return [*dict.fromkeys(found), *words]


def _needs(steps: Sequence[Step]) -> list[str]:
    """Return the options for the largest need of each resource."""
    cores = max(step.cores or 1 for step in steps)
    memory = max(step.memory or 0 for step in steps)
    gpus = max(step.gpus_per_node or 0 for step in steps)
    found = [f"--cpus-per-task={math.ceil(cores)}"]
    if memory:
        found.append(f"--mem={math.ceil(memory / 1024)}K")
    if gpus:
        found.append(f"--gpus-per-node={gpus}")
    return found


def _time_limit(steps: Sequence[Step]) -> list[str]:
    """Return the option for the time of all steps; nothing if one of them may take any time."""
    seconds = 0.0
    for step in steps:
        if not step.timeout:
            return []
        seconds += step.timeout
    # A minute more, so that the limit of the step comes first and can tell.
    return [f"--time={math.ceil(seconds / 60) + 1}"]


def _scheduling(step: Step) -> list[str]:
    """Return the options that `step` names itself."""
    found = []
    if step.queue:
        found.append(f"--partition={step.queue}")
    if step.exclusive:
        found.append("--exclusive")
    if step.native_submit_options:
        found += step.native_submit_options.split()
    return found
