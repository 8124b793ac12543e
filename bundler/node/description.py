"""What an execution script knows of its publication: the fields of publication.json. Digests are SHA-256 in hex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Fit(TypedDict):
    """On which nodes a target runs; `libc` is name, major and minor of the C library."""

    system: str
    machine: str
    libc: Sequence[Any] | None


class TargetDescription(Fit):
    """A target: its folder below the publication, and what there is for it."""

    folder: str
    python: str
    locks: Mapping[str, str]
    uv: Sequence[str] | None
    interpreter: Sequence[str] | None
    archives: Mapping[str, Sequence[str]]


class Publication(TypedDict):
    """A publication: where evaluators see it, and the one whose scripts and wheels it uses, itself or another."""

    path: str
    base: str
    strategy: str
    gc: str
    scripts: Mapping[str, str]
    targets: Sequence[TargetDescription]
