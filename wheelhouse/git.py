"""Check out a commit of a git repository for a build."""

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
    """Check out the source of `package` below `scratch`; paths in `package` are relative to `base`.

    Returns the folder of the source, its identity, and its description. Raises `BuildError`.
    """
    vcs = package.vcs
    assert vcs is not None  # noqa: S101 - checked by the caller
    url, secrets = _without_secrets(vcs.url or (base / str(vcs.path)).resolve().as_uri(), credentials)
    if vcs.type != "git" or not re.fullmatch(r"[0-9a-f]{40,64}", vcs.commit_id) or url.startswith("-"):
        raise BuildError(str(package.name), f"{vcs.type} at {vcs.commit_id} is not a git commit")
    if not re.match(r"(https?|ssh|file|git)://", url):
        raise BuildError(str(package.name), "its URL is not a git repository with https, ssh or file")
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
            raise BuildError(str(package.name), "needs git, which is not installed") from None
        if code:
            raise BuildError(str(package.name), f"git could not fetch {vcs.commit_id}", err)
    place = (tree / (vcs.subdirectory or "")).resolve()
    if not place.is_relative_to(tree.resolve()) or not place.is_dir():
        raise BuildError(str(package.name), f"its repository has no folder {vcs.subdirectory}")
    key = hashlib.sha256(f"{url}@{vcs.commit_id}#{vcs.subdirectory}".encode()).hexdigest()
    return place, key, f"git+{redacted(url)}@{vcs.commit_id}"


def _without_secrets(url: str, credentials: Credentials) -> tuple[str, dict[str, str]]:
    """Return `url` without user and password, and environment variables with them: everyone can see the options of git.

    Those of ssh are kept: a user alone is not a secret, and ssh does not use a password from a URL.
    """
    if not url.startswith(("http://", "https://")):
        return url, {}
    bare, user, password = split_user(url)
    if not user and not password:
        user, password = credentials.repositories.get(bare, ("", ""))
    if password:
        # The first value empties the list of credential helpers, which might have another account or store this one.
        helper = '!f() { printf "username=%s\\npassword=%s\\n" "$BUNDLER_GIT_USER" "$BUNDLER_GIT_PASSWORD"; }; f'
        settings = [("credential.helper", ""), ("credential.helper", helper)]
    else:
        settings = [("credential.username", user)] if user else []
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    variables = {"GIT_CONFIG_COUNT": str(first + len(settings))} if settings else {}
    for number, (key, value) in enumerate(settings, first):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return bare, {**variables, "BUNDLER_GIT_USER": user, "BUNDLER_GIT_PASSWORD": password}
