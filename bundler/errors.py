"""Failures that bundler explains: those that somebody catches, or that carry data, have a class of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from wheelhouse.errors import WheelhouseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class BundlerError(WheelhouseError):
    """A failure of bundler that is explained."""


class CombinedError(BundlerError):
    """Several failures at once, each with its own lines."""

    def __init__(self, faults: Iterable[Exception]) -> None:
        self.faults = sorted({str(fault) for fault in faults})
        super().__init__("\n".join(self.faults))


def attempt_all(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> tuple[list[_Result], list[Exception]]:
    """Call `function` on every item; return the results, and the explained failures of all the others."""
    results: list[_Result] = []
    faults: list[Exception] = []
    for item in items:
        try:
            results.append(function(item))
        except WheelhouseError as fault:
            faults.append(fault)
    return results, faults


class ScriptError(BundlerError):
    """An input that cannot be bundled as it stands."""

    def __init__(self, path: Path, fact: str, hint: str) -> None:
        super().__init__(f"{path}: {fact}", hint=hint)
        self.path = path
        self.fact = fact


class JobError(BundlerError):
    """Jobs that cannot be submitted as they were described, or that failed."""


class SweepError(BundlerError):
    """Values for the parameters of jobs that cannot be used."""

    def __init__(self, subject: str, fact: str, hint: str) -> None:
        super().__init__(f"{subject}: {fact}", hint=hint)
        self.subject = subject
        self.fact = fact


class ManifestError(BundlerError):
    """A manifest that cannot be read or must not be trusted."""

    def __init__(
        self, path: Path, fact: str, hint: str = "copy the bundle again, or make it anew with `bundle`"
    ) -> None:
        super().__init__(f"{path}: {fact}", hint=hint)
        self.path = path
        self.fact = fact


class DamagedError(BundlerError):
    """Files of a bundle or a publication that are not as the manifest says: `rows` are (kind, name) of each."""

    def __init__(self, path: Path, missing: Iterable[str], changed: Iterable[str], foreign: Iterable[str]) -> None:
        self.rows = (
            [("missing", name) for name in sorted(missing)]
            + [("changed", name) for name in sorted(changed)]
            + [("foreign", name) for name in sorted(foreign)]
        )
        kinds = {kind for kind, _ in self.rows}
        remedies = ["remove the foreign files"] if "foreign" in kinds else []
        remedies += (
            ["copy it again from where it was whole, or make it anew with `bundle`"] if kinds - {"foreign"} else []
        )
        super().__init__(
            f"{path}: not as its manifest says:",
            facts=[f"{kind}  {name}" for kind, name in self.rows],
            hint="; ".join(remedies),
        )
        self.path = path


class ContradictionError(BundlerError):
    """Files of a bundle that are as its manifest says, and name other wheels than it does."""

    def __init__(self, path: Path, faults: Iterable[str]) -> None:
        self.faults = sorted(faults)
        super().__init__(
            f"{path}: its files contradict each other:",
            facts=self.faults,
            hint="find out who made it; `bundle` makes no such bundle",
        )
