"""Failures that bundler explains: data goes in, a few lines come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from wheelhouse.errors import WheelhouseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class BundlerError(Exception):
    """Base of every failure that bundler explains."""


class Faults(BundlerError):
    """Several failures at once, each with its own sentence."""

    def __init__(self, faults: Iterable[Exception]) -> None:
        self.faults = sorted({str(fault) for fault in faults})

    def __str__(self) -> str:
        return "\n".join(self.faults)


def attempt_all(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> tuple[list[_Result], list[Exception]]:
    """Call `function` on every item; return the results, and the explained failures of all the others."""
    results: list[_Result] = []
    faults: list[Exception] = []
    for item in items:
        try:
            results.append(function(item))
        except (BundlerError, WheelhouseError) as fault:
            faults.append(fault)
    return results, faults


class ScriptFault(BundlerError):
    """A script that cannot be bundled as it stands."""

    def __init__(self, path: Path, fact: str, remedy: str) -> None:
        self.path = path
        self.fact = fact
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.fact}. {self.remedy}"


class JobFault(BundlerError):
    """Jobs that cannot be submitted as they were described."""


class DesignFault(BundlerError):
    """Values for the parameters of jobs that cannot be used."""

    def __init__(self, subject: str, fact: str, remedy: str) -> None:
        self.subject = subject
        self.fact = fact
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.subject}: {self.fact}. {self.remedy}"


class SameName(BundlerError):
    """Scripts of one bundle that would make the same file in it."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = sorted(paths)

    def __str__(self) -> str:
        names = ", ".join(map(str, self.paths))
        return f"{names}: have names that are too much alike. Rename one, or bundle them one by one."


class OutputTaken(BundlerError):
    """The output exists and is not a bundle, so it is not ours to replace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: exists and is no bundle. Move it away, or choose another --output."


class OtherScripts(BundlerError):
    """The output is a bundle of other scripts."""

    def __init__(self, path: Path, scripts: Sequence[str]) -> None:
        self.path = path
        self.scripts = scripts

    def __str__(self) -> str:
        return (
            f"{self.path} is a bundle of other scripts: {', '.join(self.scripts)}\n"
            "hint: choose another --output, or give --replace"
        )


class NothingToUpgrade(BundlerError):
    """There is no bundle yet, of which some packages could be upgraded."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle

    def __str__(self) -> str:
        return f"{self.bundle}: there is no such bundle yet. Leave out --upgrade-package to make it."


class NotInBundle(BundlerError):
    """A package that is to be upgraded, and that the bundle does not hold."""

    def __init__(self, package: str, bundle: Path) -> None:
        self.package = package
        self.bundle = bundle

    def __str__(self) -> str:
        return f"{self.package}: is not in {self.bundle}, so it cannot be upgraded."


class ManifestFault(BundlerError):
    """A manifest that cannot be read or must not be trusted."""

    def __init__(self, path: Path, fact: str) -> None:
        self.path = path
        self.fact = fact

    def __str__(self) -> str:
        return f"{self.path}: {self.fact}. Copy the bundle again, or make it anew with `bundle`."


class NewerFormat(BundlerError):
    """A manifest of a format that came after this bundler."""

    def __init__(self, path: Path, found: object, known: int) -> None:
        self.path = path
        self.found = found
        self.known = known

    def __str__(self) -> str:
        return (
            f"{self.path}: is of format {self.found}, and this bundler knows format {self.known}. Use a newer bundler."
        )


class Damaged(BundlerError):
    """Files of a bundle or a publication that are not as the manifest says."""

    def __init__(self, path: Path, missing: Iterable[str], changed: Iterable[str], foreign: Iterable[str]) -> None:
        self.path = path
        self.rows = (
            [("missing", name) for name in sorted(missing)]
            + [("changed", name) for name in sorted(changed)]
            + [("foreign", name) for name in sorted(foreign)]
        )

    def __str__(self) -> str:
        lines = [f"{self.path}: not as its manifest says:"]
        lines += [f"  {kind}  {name}" for kind, name in self.rows]
        if any(kind == "foreign" for kind, _ in self.rows):
            lines.append("Remove what is foreign.")
        if any(kind != "foreign" for kind, _ in self.rows):
            lines.append("Copy it again from where it was whole, or make it anew with `bundle`.")
        return "\n".join(lines)


class Inconsistent(BundlerError):
    """Files of a bundle that are as its manifest says, and name other wheels than it does."""

    def __init__(self, path: Path, faults: Iterable[str]) -> None:
        self.path = path
        self.faults = sorted(faults)

    def __str__(self) -> str:
        lines = [f"{self.path}: its files contradict each other:", *(f"  {fault}" for fault in self.faults)]
        return "\n".join([*lines, "hint: find out who made it; `bundle` makes no such bundle"])


class NoBundle(BundlerError):
    """There is not exactly one bundle to take where none was named."""

    def __init__(self, folder: Path, found: Sequence[Path]) -> None:
        self.folder = folder
        self.found = sorted(found)

    def __str__(self) -> str:
        if not self.found:
            return f"{self.folder}: no bundle here. Make one with `bundle SCRIPT`, or name one."
        names = "".join(f"\n  {path.name}" for path in self.found)
        return f"{self.folder}: {len(self.found)} bundles here. Name those to publish:{names}"


class NotABundle(BundlerError):
    """The path holds neither a bundle nor a publication."""

    def __init__(self, path: Path, expected: str) -> None:
        self.path = path
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"{self.path}: is no {self.expected} (there is no manifest.json). "
            "Name the folder that `bundle` or `publish-index` printed."
        )


class NotPublished(BundlerError):
    """A bundle where a publication is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: is a bundle and no publication yet. Publish it first: publish-index DEST {self.path}"


class BadFacts(BundlerError):
    """A file that does not hold the facts of a node."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        command = f"bundler probe > {self.path.name}"
        return f"{self.path}: does not hold the facts of a node. Gather them there with `{command}`."


class WouldNotRun(BundlerError):
    """Nodes on which no target of a publication runs."""

    def __init__(self, publication: Path, nodes: dict[str, dict[str, list[str]]]) -> None:
        self.publication = publication
        self.nodes = nodes

    def __str__(self) -> str:
        lines = [f"{self.publication.name} would not run on {len(self.nodes)} of the nodes:"]
        for node, targets in sorted(self.nodes.items()):
            lines.append(f"  {node}")
            lines += [f"    {target}: {'; '.join(reasons)}" for target, reasons in sorted(targets.items())]
        return "\n".join(lines)


class NeedsInterpreter(BundlerError):
    """An environment is to be published of a bundle that carries no interpreter."""

    def __init__(self, path: Path, target: str) -> None:
        self.path = path
        self.target = target

    def __str__(self) -> str:
        return (
            f"{self.path}: carries no Python for {self.target}, and the strategy `environment` needs one. "
            "Bundle again with --include-python, or publish with another --strategy."
        )


class SeenElsewhere(BundlerError):
    """A cache is to be published for a place where this machine does not see the store."""

    def __init__(self, store: Path, seen_at: str) -> None:
        self.store = store
        self.seen_at = seen_at

    def __str__(self) -> str:
        return (
            f"{self.store}: evaluators see it at {self.seen_at}, and a uv cache serves one path only. "
            "Publish where the path is the same, or with another --strategy."
        )


class TaskFolderTaken(BundlerError):
    """The folder that a rehearsal should run in is not empty."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: is not empty, and a task starts in an empty folder. Choose another --output."


class NothingLeft(BundlerError):
    """The rehearsed job ended well, but did not leave what its scripts say."""

    def __init__(self, publication: Path, missing: Sequence[str]) -> None:
        self.publication = publication
        self.missing = missing

    def __str__(self) -> str:
        return (
            f"{self.publication.name}: the job ended well, but did not leave {', '.join(self.missing)}, which its "
            "scripts promise in [tool.bundler]; HPS would take it for failed."
        )


class JobFailed(BundlerError):
    """The rehearsed job did not end well."""

    def __init__(self, publication: Path) -> None:
        self.publication = publication

    def __str__(self) -> str:
        return f"{self.publication.name}: the job failed; its last lines above say why."
