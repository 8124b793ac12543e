"""What uv says when it cannot resolve, cut down to the targets and the names that people gave."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import SpecifierSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelhouse.target import Target

_SPLIT = re.compile(r" for split \((?:markers: )?([^\n]*)\)(?=[:\n]|$)")
# Conditions that uv puts behind the name of a package in its reasoning.
_CONDITION = re.compile(r"\{[^{}]*\b(?:python_|sys_|platform_|os_|implementation_)[^{}]*\}")
# Advice about requires-python, which we chose, and about Pythons that were not asked for.
_OF_NO_USE = (
    *("hint: While the active Python version is", "hint: The `requires-python` value"),
    "hint: Wheels are required for",
)
_COMPATIBLE = re.compile(r"has no `[^`\n]*`-compatible wheels")


def plain_words(words: str, invented: str, subject: str, targets: Sequence[Target]) -> str:
    """Return `words` of uv about the project `invented`, which stands for `subject`, in terms of `targets`."""
    words = _SPLIT.sub(lambda split: f" for {_names(split[1], targets)}", words)
    words = _COMPATIBLE.sub("has no wheels for this target", _CONDITION.sub("", words))
    words = words.replace("the requested Python version (>=3)", "the Python of this target")
    words = words.replace("your project", subject).replace(invented, subject)
    paragraphs = re.split(r"\n\s*\n", words.strip())
    return "\n".join(each.strip("\n") for each in paragraphs if not each.lstrip().startswith(_OF_NO_USE))


def _names(marker: str, targets: Sequence[Target]) -> str:
    """Return the names of those of `targets` for which `marker` holds, `some targets` where nobody can tell."""
    try:
        parsed = Marker(marker)
    except InvalidMarker:
        return "some targets"
    found = [
        str(target)
        for target in targets
        if any(
            parsed.evaluate(cast("dict[str, str]", environment)) for environment in target.environments(SpecifierSet())
        )
    ]
    return " and ".join(found) or "some targets"
