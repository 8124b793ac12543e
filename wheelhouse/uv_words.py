"""uv's messages about failed resolutions, reduced to the targets and names that users know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import SpecifierSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelhouse.target import Target

_SPLIT = re.compile(r" for split \((?:markers: )?([^\n]*)\)(?=[:\n]|$)")
# Conditions that uv adds to package names in its explanation.
_CONDITION = re.compile(r"\{[^{}]*\b(?:python_|sys_|platform_|os_|implementation_)[^{}]*\}")
# Advice about requires-python, which we chose, and about Pythons that were not requested.
_OF_NO_USE = (
    *("hint: While the active Python version is", "hint: The `requires-python` value"),
    "hint: Wheels are required for",
)
_COMPATIBLE = re.compile(r"has no `[^`\n]*`-compatible wheels")


def plain_words(words: str, invented: str, subject: str, targets: Sequence[Target]) -> str:
    """Return uv's message `words` about the project `invented`, which stands for `subject`, in terms of `targets`."""
    words = _SPLIT.sub(lambda split: f" for {_names(split[1], targets)}", words)
    words = _COMPATIBLE.sub("has no wheels for this target", _CONDITION.sub("", words))
    words = words.replace("the requested Python version (>=3)", "the Python of this target")
    words = words.replace("your project", subject).replace(invented, subject)
    paragraphs = re.split(r"\n\s*\n", words.strip())
    return "\n".join(paragraph.strip("\n") for paragraph in paragraphs if not paragraph.lstrip().startswith(_OF_NO_USE))


def _names(marker: str, targets: Sequence[Target]) -> str:
    """Return the names of those of `targets` for which `marker` is true, or `some targets` if that is unknown."""
    try:
        parsed = Marker(marker)
    except InvalidMarker:
        return "some targets"
    names = [
        str(target)
        for target in targets
        if any(
            parsed.evaluate(cast("dict[str, str]", environment)) for environment in target.environments(SpecifierSet())
        )
    ]
    return " and ".join(names) or "some targets"
