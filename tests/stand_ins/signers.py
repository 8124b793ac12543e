"""Ssh keys and files of allowed signers."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bundler.trust.ssh_keygen import NAMESPACE, Trust


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """Create a key without a passphrase; return the path of the private key."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", path], check=True)
    return path


def allow(key: Path, name: str = "anna@site", options: str = f'namespaces="{NAMESPACE}"') -> Trust:
    """Write a file of allowed signers next to `key` that allows it as `name`; return whom it trusts."""
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    path = key.with_name(f"{key.name}.{len(list(key.parent.iterdir()))}.allowed")
    path.write_text(f"# Who may sign.\n{name} {options} {public}\n")
    return Trust(allowed=path)
