"""The description of a publication in its execution script and in publication.json; digests are SHA-256 in hex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


class Fit(TypedDict):
    """The nodes on which a target runs; `libc` is the (name, major, minor) of the C library."""

    system: str
    machine: str
    libc: Sequence[Any] | None


class TargetDescription(Fit):
    """A target: its folder in the publication, that of each script in it, and the files for it."""

    folder: str
    folders: Mapping[str, str]
    python: str
    locks: Mapping[str, str]
    uv: Sequence[str] | None
    interpreter: Sequence[str] | None
    archives: Mapping[str, Sequence[str]]


class Publication(TypedDict):
    """A publication: its path on the nodes, and `base`, the path of the publication with its scripts and wheels.

    `approved` says who signed the bundle, if that was checked when the job was submitted.
    """

    path: str
    base: str
    strategy: str
    approved: str | None
    gc: str
    scripts: Mapping[str, str]
    targets: Sequence[TargetDescription]
