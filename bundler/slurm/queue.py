"""Submit a campaign to Slurm, and ask Slurm about its jobs."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

if sys.platform != "win32":
    import fcntl

from bundler.errors import BundlerError
from bundler.slurm.campaign import SUBMISSIONS, Campaign, batch_script
from wheelhouse import atomic, files, process
from wheelhouse.errors import FileError

# What Slurm allows by default.
_MAX_ARRAY = 1001
_LIMIT = 64 << 20


def submit(
    campaign: Campaign, rows: Sequence[int], size: int, limit: int | None = None
) -> list[str]:
    """Submit the jobs `rows` of `campaign`, at most `limit` at once; return the IDs of the arrays.

    An array has at most `size` jobs. Each is recorded when it is submitted. Raises `BundlerError`.
    """
    identities = []
    for start in range(0, len(rows), size):
        identities.append(_submit_array(campaign, rows[start : start + size], limit))
    return identities


@contextlib.contextmanager
def alone(campaign: Campaign) -> Iterator[None]:
    """Let nobody else submit jobs of `campaign` during the block. Raises `BundlerError` if somebody does."""
    path = campaign.folder / SUBMISSIONS / "lock"
    with files.explained(path), path.open("a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BundlerError(
                f"jobs of {campaign.folder} are being submitted right now",
                hint="wait until that has ended",
            ) from None
        yield


def _submit_array(campaign: Campaign, rows: Sequence[int], limit: int | None) -> str:
    folder = campaign.folder / SUBMISSIONS
    number = 1 + max((each["number"] for each in submissions(campaign)), default=0)
    atomic.write(folder / f"{number}.rows", "".join(f"{row}\n" for row in rows).encode())
    script = folder / f"{number}.sh"
    atomic.write(script, batch_script(campaign, number, len(rows), limit).encode())
    code, out, err = process.run(["sbatch", "--parsable"], cwd=campaign.folder, stdin=script)
    if code:
        raise _refused("sbatch", err)
    identity = out.strip().partition(";")[0]
    record = {"number": number, "array": identity, "rows": list(rows)}
    atomic.write(folder / f"{number}.json", json.dumps(record).encode())
    return identity


def submissions(campaign: Campaign) -> list[dict[str, Any]]:
    """Return the arrays that were submitted, the oldest first: number, ID and rows of each."""
    records = []
    for path in (campaign.folder / SUBMISSIONS).glob("*.json"):
        try:
            record = json.loads(files.read_plain(path, _LIMIT))
            rows = [int(row) for row in record["rows"]]
            records.append({**record, "number": int(record["number"]), "rows": rows})
        except (ValueError, KeyError, TypeError, FileError) as error:
            raise BundlerError(f"{path} is damaged", hint="submit the jobs again") from error
    return sorted(records, key=lambda record: record["number"])


def tasks_in_queue() -> dict[str, str]:
    """Return the state of each task of this user that Slurm has, by ID, such as 17_3. Raises `BundlerError`."""
    code, out, err = process.run(["squeue", "--noheader", "--me", "--array", "--format=%i|%T"])
    if code:
        raise _refused("squeue", err)
    tasks = {}
    for line in out.splitlines():
        identity, _, state = line.strip().partition("|")
        tasks[identity] = state
    return tasks


def longest_array() -> int:
    """Return the largest number of jobs in an array. Raises `BundlerError` if Slurm does not answer."""
    code, out, err = process.run(["scontrol", "show", "config"])
    if code:
        raise _refused("scontrol", err)
    match = re.search(r"MaxArraySize\s*=\s*(\d+)", out)
    # Slurm counts from 0, and the largest index is one less.
    return max(1, int(match[1]) if match else _MAX_ARRAY)


def _refused(program: str, words: str) -> BundlerError:
    """Return the error for a program of Slurm that failed with `words`."""
    lines = [line for line in words.strip().splitlines() if line.strip()][-5:]
    return BundlerError(
        f"{program} failed",
        facts=lines or ["it said nothing"],
        hint="run this where sbatch and squeue work, with the account and limits of your cluster",
    )
