"""A real Slurm: a controller and nodes on this machine, each node with its own /tmp, host name and processes."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_PROGRAMS = ("slurmctld", "slurmd", "munged", "unshare", "sbatch")
# What the first process of a node does before it is its slurmd.
_BOOT = """
set -e
for path in "$STATE" "$SHARED" "$SOFTWARE"; do
    case "$path" in
    /tmp/*)
        mkdir -p "$OWN$path"
        mount --bind "$path" "$OWN$path" ;;
    esac
done
mount -t proc proc /proc
mount --rbind "$OWN/tmp" /tmp
hostname "$NODE"
env -i PATH="$PATH" slurmd -D -N "$NODE" -f "$CONF" &
while :; do sleep 3600; done
"""
_CONF = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={state}/munge/socket,cred_expire=60
SlurmUser=root
SlurmdUser=root
StateSaveLocation={state}/ctld
SlurmctldPidFile={state}/ctld/pid
SlurmctldLogFile={state}/ctld/log
SlurmdSpoolDir={state}/%n/spool
SlurmdPidFile={state}/%n/pid
SlurmdLogFile={state}/%n/log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=2
SlurmctldTimeout=30
SlurmdTimeout=5
KillWait=2
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MaxArraySize={longest}
NodeName={nodes} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=batch Nodes={nodes} Default=YES MaxTime=INFINITE DefMemPerCPU=100 State=UP
"""


def is_available() -> bool:
    """Return whether Slurm is installed and this user may start it."""
    return os.name == "posix" and os.geteuid() == 0 and all(map(shutil.which, _PROGRAMS))


@dataclass
class Slurm:
    """The Slurm of the folder `state`, whose nodes see `shared` and the environment of the tests."""

    state: Path
    shared: Path
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        """The configuration, for SLURM_CONF."""
        return self.state / "slurm.conf"

    def power_on(self, node: str) -> None:
        """Start `node`."""
        own = self.state / node
        for name in ("spool", "tmp"):
            (own / name).mkdir(parents=True, exist_ok=True)
        (own / "tmp").chmod(0o1777)
        variables = {
            "STATE": str(self.state),
            "SHARED": str(self.shared),
            "SOFTWARE": sys.prefix,  # uv and Python of this installation
            "OWN": str(own),
            "NODE": node,
            "CONF": str(self.conf),
        }
        with (own / "out").open("wb") as out:
            self.nodes[node] = subprocess.Popen(
                [
                    "unshare",
                    *("--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"),
                    *("--propagation", "private", "bash", "-c", _BOOT),
                ],
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def power_off(self, node: str) -> None:
        """Stop `node` with everything on it, as if its power failed."""
        process = self.nodes.pop(node)
        process.kill()
        process.wait()

    def power_off_all(self) -> None:
        """Stop all nodes."""
        for node in list(self.nodes):
            self.power_off(node)

    def run(self, *command: str | Path) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(
            list(map(str, command)),
            env={**os.environ, "SLURM_CONF": str(self.conf)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout

    def wait(self, seconds: float = 90.0) -> None:
        """Wait until the queue is empty."""
        end = time.monotonic() + seconds
        while self.run("squeue", "--noheader").strip():
            assert time.monotonic() < end, self.run("squeue")
            time.sleep(0.3)


def _free_ports(count: int) -> int:
    """Return the first of `count` free ports in a row."""
    while True:
        start = 20_000 + secrets.randbelow(10_000)
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for port in range(start, start + count):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return start


@contextlib.contextmanager
def serving(state: Path, shared: Path, nodes: int = 2, longest: int = 8) -> Iterator[Slurm]:
    """Run a Slurm in the empty folder `state` for the block; an array has at most `longest` jobs."""
    for name in ("ctld", "munge"):
        (state / name).mkdir(parents=True)
    state.chmod(0o755)
    munge = state / "munge"
    munge.chmod(0o755)
    key = munge / "key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    port = _free_ports(nodes + 1)
    names = [f"node{number}" for number in range(1, nodes + 1)]
    slurm = Slurm(state=state, shared=shared)
    slurm.conf.write_text(
        _CONF.format(
            state=state,
            port=port,
            longest=longest,
            nodes=f"node[1-{nodes}]",
            first=port + 1,
            last=port + nodes,
        )
    )
    files = [
        f"--{name}-file={munge / name.split('-')[0]}" for name in ("key", "pid", "log", "seed")
    ]
    command = ["munged", "--foreground", "--force", f"--socket={munge / 'socket'}", *files]
    with contextlib.ExitStack() as running:

        def start(*words: str) -> None:
            process = subprocess.Popen(
                words,
                env={**os.environ, "SLURM_CONF": str(slurm.conf)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            running.callback(_end, process)

        start(*command)
        start("slurmctld", "-D", "-f", str(slurm.conf))
        for name in names:
            slurm.power_on(name)
        running.callback(slurm.power_off_all)
        end = time.monotonic() + 30
        while len(slurm.run("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split()) < nodes:
            assert time.monotonic() < end, slurm.run("sinfo", "-N")
            time.sleep(0.2)
        yield slurm


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
