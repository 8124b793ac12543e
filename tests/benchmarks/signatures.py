"""Verifying a signed bundle, against `sha256sum`.

    python -m tests.benchmarks.signatures [ROUNDS]

A bundle with a gigabyte of wheels, in the page cache. Prints the median seconds and ratios.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from bundler import assurance
from tests.benchmarks.archives import in_turn
from tests.benchmarks.bundling import BIN
from tests.conftest import workplace_in
from tests.stand_ins.index import Index, serving
from tests.stand_ins.signers import allow, make_key
from tests.stand_ins.wheels import make_wheel

_WHEELS, _BYTES = 20, 50 << 20


def main(rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch, serving(Index()) as index:
        site = workplace_in(Path(scratch), index)
        names = [f"project-{number}" for number in range(_WHEELS)]
        for number, name in enumerate(names):
            index.add(make_wheel(name, files={"data": random.Random(number).randbytes(_BYTES)}))  # noqa: S311
        site.script("eval.py", *names)
        bundle = site.bundle("eval.py")
        key = make_key(site.folder / "key")
        assurance.sign(bundle, key)
        ways = {
            "sha256sum": f"cd {bundle} && sha256sum --quiet -c SHA256SUMS",
            "bundler verify": f"{BIN}/bundler verify {bundle} -q",
            "bundler verify --trust": f"{BIN}/bundler verify {bundle} -q --trust {allow(key).allowed}",
        }
        seconds = in_turn(ways, site.folder, rounds)
        for way, median in seconds.items():
            print(f"{way:24} {median:6.2f} s {median / seconds['sha256sum']:6.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
