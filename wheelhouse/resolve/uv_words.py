"""uv's messages about failed resolutions, reduced to the targets and names that users know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import SpecifierSet

from wheelhouse.target import Target

_SPLIT = re.compile(r" for split \((?:markers: )?([^\n]*)\)(?=[:\n]|$)")
# Conditions that uv adds to package names in its explanation.
_CONDITION = re.compile(r"\{[^{}]*\b(?:python_|sys_|platform_|os_|implementation_)[^{}]*\}")
# Advice about requires-python, which we chose, and about Pythons that were not requested.
_OF_NO_USE = (
    "hint: While the active Python version is",
    "hint: The `requires-python` value",
    "hint: Wheels are required for",
    "hint: The resolution failed for an environment that is not the current one",
)
# Warnings about how we call uv, and about interpreters, which do not matter for a resolution.
_OF_OUR_OWN = (
    "The requested interpreter",
    "The requested Python version",
    "Ignoring existing",
    "`VIRTUAL_ENV=",
)
# Options in uv's hints, and the settings with which they can be followed here.
_ADVICE = (
    (r"`--prerelease=allow`", '`prerelease = "allow"` in [tool.uv]'),
    (
        r"`--prerelease-package (\S+)=allow`",
        r'`prerelease-package = { \1 = "allow" }` in [tool.uv]',
    ),
    (
        r"`--index-strategy unsafe-best-match`",
        '`index-strategy = "unsafe-best-match"` in [tool.uv]',
    ),
    (r"`--find-links <uri>`", "`find-links` in [tool.uv]"),
    (r"`--no-build-isolation`", "`no-build-isolation = true` in [tool.uv]"),
)
_COMPATIBLE = re.compile(r"has no `[^`\n]*`-compatible wheels")


def split_words(words: str) -> tuple[tuple[str, ...], str]:
    """Return the warnings in the output `words` of uv, without those that say nothing to users, and its error."""
    warnings: list[str] = []
    lines = words.splitlines()
    error = lines
    for number, line in enumerate(lines):
        if line.startswith("error:"):
            error = lines[number:]
            break
        if line.startswith("warning: "):
            warnings.append(line.removeprefix("warning: "))
        elif warnings and line.startswith(" "):
            warnings[-1] += f"\n{line}"
    useful = [warning for warning in warnings if not warning.startswith(_OF_OUR_OWN)]
    return tuple(dict.fromkeys(useful)), "\n".join(error)


def plain_words(
    words: str,
    invented: str,
    subject: str,
    targets: Sequence[Target],
) -> str:
    """Return uv's message `words` about the project `invented`, which stands for `subject`, in terms of `targets`."""
    words = _SPLIT.sub(lambda split: f" for {_names(split[1], targets)}", words)
    words = _COMPATIBLE.sub("has no wheels for this target", _CONDITION.sub("", words))
    words = words.replace("the requested Python version (>=3)", "the Python of this target")
    words = words.replace("your project", subject).replace(invented, subject)
    for option, setting in _ADVICE:
        words = re.sub(option, setting, words)
    paragraphs = re.split(r"\n\s*\n", words.strip())
    useful = [
        paragraph for paragraph in paragraphs if not paragraph.lstrip().startswith(_OF_NO_USE)
    ]
    return "\n".join(paragraph.strip("\n") for paragraph in useful)


def _names(marker: str, targets: Sequence[Target]) -> str:
    """Return the names of those of `targets` for which `marker` is true, or `some targets` if that is unknown."""
    try:
        parsed = Marker(marker)
    except InvalidMarker:
        return "some targets"
    names = []
    for target in targets:
        for environment in target.environments(SpecifierSet()):
            if parsed.evaluate(cast("dict[str, str]", environment)):
                names.append(str(target))
                break
    return " and ".join(names) or "some targets"
