"""A commit of a git repository, checked out for a build."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from wheelhouse import process
from wheelhouse.credentials import Credentials, split_user
from wheelhouse.errors import BuildError, redacted

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.pylock import Package


def checkout(package: Package, base: Path, scratch: Path, credentials: Credentials) -> tuple[Path, str, str]:
    """Check out what `package` names of a repository, below `scratch`; paths in it are relative to `base`.

    Returns where the source lies, what identifies it, and what people call it. Raises `BuildError`.
    """
    vcs = package.vcs
    assert vcs is not None  # noqa: S101 - the caller looked
    url, secrets = _without_secrets(vcs.url or (base / str(vcs.path)).resolve().as_uri(), credentials)
    if vcs.type != "git" or not re.fullmatch(r"[0-9a-f]{40,64}", vcs.commit_id) or url.startswith("-"):
        raise BuildError(str(package.name), f"{vcs.type} at {vcs.commit_id} is no git commit")
    if not re.match(r"(https?|ssh|file|git)://", url):
        raise BuildError(str(package.name), "it comes from a place that is no git repository by https, ssh or file")
    tree = scratch / "checkout"
    variables = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", **secrets}
    for command in (
        ["git", "init", "--quiet", str(tree)],
        ["git", "-C", str(tree), "fetch", "--quiet", "--depth", "1", url, vcs.commit_id],
        ["git", "-C", str(tree), "checkout", "--quiet", vcs.commit_id],
    ):
        try:
            code, _, err = process.run(command, env=variables)
        except FileNotFoundError:
            raise BuildError(str(package.name), "it comes from git, and there is no git here") from None
        if code:
            raise BuildError(str(package.name), f"git cannot get {vcs.commit_id}", err)
    place = (tree / (vcs.subdirectory or "")).resolve()
    if not place.is_relative_to(tree.resolve()) or not place.is_dir():
        raise BuildError(str(package.name), f"its folder {vcs.subdirectory} is not in the repository")
    key = hashlib.sha256(f"{url}@{vcs.commit_id}#{vcs.subdirectory}".encode()).hexdigest()
    return place, key, f"git+{redacted(url)}@{vcs.commit_id}"


def _without_secrets(url: str, credentials: Credentials) -> tuple[str, dict[str, str]]:
    """Return `url` without user and password, and the variables by which git learns them: everybody sees its options.

    Those of ssh stay: a user alone is no secret, and ssh asks for no password.
    """
    if not url.startswith(("http://", "https://")):
        return url, {}
    bare, user, password = split_user(url)
    if not user and not password:
        user, password = credentials.repositories.get(bare, ("", ""))
    if password:
        # The first empties the list of helpers, which might know another account, and would be told to forget it.
        helper = '!f() { printf "username=%s\\npassword=%s\\n" "$BUNDLER_GIT_USER" "$BUNDLER_GIT_PASSWORD"; }; f'
        settings = [("credential.helper", ""), ("credential.helper", helper)]
    else:
        settings = [("credential.username", user)] if user else []
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    variables = {"GIT_CONFIG_COUNT": str(first + len(settings))} if settings else {}
    for number, (key, value) in enumerate(settings, first):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return bare, {**variables, "BUNDLER_GIT_USER": user, "BUNDLER_GIT_PASSWORD": password}
