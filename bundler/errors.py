"""Expected failures of bundler. An error has a class of its own if it is caught by type or carries data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from bundler.hints import explain
from wheelhouse.errors import WheelhouseError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class BundlerError(WheelhouseError):
    """An expected failure of bundler, explained for the user."""


class CombinedError(BundlerError):
    """Several failures at once."""

    def __init__(self, errors: Iterable[Exception]) -> None:
        self.errors = sorted({explain(error) for error in errors})
        super().__init__("\n".join(self.errors))


def attempt_all(
    function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> tuple[list[_Result], list[Exception]]:
    """Call `function` on every item; return the results, and the errors of the items that failed."""
    results: list[_Result] = []
    errors: list[Exception] = []
    for item in items:
        try:
            results.append(function(item))
        except WheelhouseError as error:
            errors.append(error)
    return results, errors


class ScriptError(BundlerError):
    """An input that cannot be bundled."""

    def __init__(self, path: Path, fact: str, hint: str) -> None:
        super().__init__(f"{path}: {fact}", hint=hint)
        self.path = path
        self.fact = fact


class JobError(BundlerError):
    """Jobs that cannot be submitted, or that failed."""


class SweepError(BundlerError):
    """Invalid values for the parameters of jobs."""

    def __init__(self, subject: str, fact: str, hint: str) -> None:
        super().__init__(f"{subject}: {fact}", hint=hint)
        self.subject = subject
        self.fact = fact


class ManifestError(BundlerError):
    """An invalid manifest."""

    def __init__(
        self,
        path: Path,
        fact: str,
        hint: str = "copy the bundle again, or create it again with `bundle`",
    ) -> None:
        super().__init__(f"{path}: {fact}", hint=hint)
        self.path = path
        self.fact = fact


class DamagedError(BundlerError):
    """A bundle or publication with missing, changed or foreign files: `rows` are (kind, name) pairs."""

    def __init__(
        self, path: Path, missing: Iterable[str], changed: Iterable[str], foreign: Iterable[str]
    ) -> None:
        self.rows: list[tuple[str, str]] = []
        for kind, names in (("missing", missing), ("changed", changed), ("foreign", foreign)):
            self.rows += [(kind, name) for name in sorted(names)]
        kinds = {kind for kind, _ in self.rows}
        remedies = []
        if "foreign" in kinds:
            remedies.append("remove the foreign files")
        if "missing" in kinds or "changed" in kinds:
            remedies.append("copy it again, or create it again with `bundle`")
        super().__init__(
            f"{path} does not match its manifest",
            facts=[f"{kind}  {name}" for kind, name in self.rows],
            hint=", and ".join(remedies),
        )
        self.path = path


class SignatureError(BundlerError):
    """A signature that is missing or not accepted.

    `problem` is missing, unknown, expired, early, revoked, purpose, changed, other, older, uncovered or damaged;
    "program" if ssh-keygen cannot be used, and "" if nothing was checked.
    """

    def __init__(
        self, message: str, *, problem: str = "", facts: Iterable[str] = (), hint: str = ""
    ) -> None:
        super().__init__(message, facts=facts, hint=hint)
        self.problem = problem


class ContradictionError(BundlerError):
    """A bundle whose locks and index pages list other wheels than its manifest."""

    def __init__(self, path: Path, errors: Iterable[str]) -> None:
        self.errors = sorted(errors)
        super().__init__(
            f"{path}: its files contradict its manifest",
            facts=self.errors,
            hint="do not use it, and find out who made it: `bundle` does not create such bundles",
        )
