"""Check out a commit of a git repository for a build."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from packaging.pylock import PackageVcs

from wheelhouse import files, process
from wheelhouse.errors import BuildError, redacted
from wheelhouse.fetch.credentials import Credentials, split_user

_COMMIT = re.compile(r"[0-9a-f]{40,64}")
# Prints an account to git, in its language for helpers.
_HELPER = (
    '!f() { printf "username=%s\\npassword=%s\\n" "$BUNDLER_GIT_USER" "$BUNDLER_GIT_PASSWORD"; }; f'
)
_SCHEMES = re.compile(r"(https?|ssh|file|git)://")


def checkout(
    name: str,
    vcs: PackageVcs,
    base: Path,
    scratch: Path,
    credentials: Credentials,
    *,
    with_lfs: bool,
) -> tuple[Path, str, str]:
    """Check out the source `vcs` of the project `name` below `scratch`; its path is relative to `base`.

    Like uv, fetches the history and tags, from which builds may take a version, submodules, and with `with_lfs` large
    files. Returns the folder of the source, its identity, and its description. Raises `BuildError`.
    """
    commit = vcs.commit_id
    stated = vcs.url or files.real(base / str(vcs.path)).as_uri()
    url, secrets = _without_secrets(stated, credentials)
    if vcs.type != "git" or not _COMMIT.fullmatch(commit) or url.startswith("-"):
        raise BuildError(name, f"{vcs.type} at {commit} is not a git commit")
    if not _SCHEMES.match(url):
        raise BuildError(name, "its URL is not a git repository with https, ssh or file")
    repository = _Repository(
        project=name,
        tree=scratch / "checkout",
        variables={"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", **secrets},
    )
    repository.fetch(url, commit, with_lfs=with_lfs)
    tree = files.real(repository.tree)
    place = files.real(tree / (vcs.subdirectory or ""))
    if not place.is_relative_to(tree) or not place.is_dir():
        raise BuildError(name, f"its repository has no folder {vcs.subdirectory}")
    # The number changes if the same commit gives another tree.
    identity = f"2 {url}@{commit}#{vcs.subdirectory}{with_lfs}"
    key = hashlib.sha256(identity.encode()).hexdigest()
    return place, key, f"git+{redacted(url)}@{commit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repository:
    """A repository for the source of `project` in the new folder `tree`; `variables` are for git."""

    project: str
    tree: Path
    variables: Mapping[str, str]

    def fetch(self, url: str, commit: str, *, with_lfs: bool) -> None:
        """Fetch `commit` from `url` with all that belongs to it, and check it out. Raises `BuildError`."""
        failure = f"fetch {commit}"
        self.tree.mkdir()
        self._require(failure, "init", "--quiet")
        self._require(failure, "remote", "add", "origin", url)
        fetch = ("fetch", "--quiet", "--tags", "--force", "origin")
        if self._run(*fetch, commit) is not None:  # Not all servers offer single commits.
            self._require(failure, *fetch, "+refs/heads/*:refs/remotes/origin/*")
        self._require(failure, "checkout", "--quiet", "--detach", commit)
        if (self.tree / ".gitmodules").is_file():
            self._require(
                "fetch the submodules", "submodule", "--quiet", "update", "--init", "--recursive"
            )
        if with_lfs:
            self._require(
                "fetch the large files, for which git-lfs must be installed",
                "lfs",
                "pull",
                "origin",
            )

    def _require(self, purpose: str, *arguments: str) -> None:
        """Run git. Raises `BuildError` with its messages if it fails."""
        messages = self._run(*arguments)
        if messages is not None:
            raise BuildError(self.project, f"git could not {purpose}", messages)

    def _run(self, *arguments: str) -> str | None:
        """Run git; return its messages if it fails."""
        try:
            code, _, messages = process.run(
                ["git", "-C", str(self.tree), *arguments], env=self.variables
            )
        except FileNotFoundError:
            raise BuildError(self.project, "needs git, which is not installed") from None
        if code:
            return messages
        return None


def _without_secrets(url: str, credentials: Credentials) -> tuple[str, dict[str, str]]:
    """Return `url` without user and password, and environment variables with them: everyone can see the options of git.

    Those of ssh are kept: a user alone is not a secret, and ssh does not use a password from a URL.
    """
    if not url.startswith(("http://", "https://")):
        return url, {}
    bare, user, password = split_user(url)
    if not user and not password:
        user, password = credentials.repositories.get(bare, ("", ""))
    settings = []
    if password:
        # The first value empties the list of credential helpers, which might have another account or store this one.
        settings = [("helper", ""), ("helper", _HELPER)]
    elif user:
        settings = [("username", user)]
    variables = {"BUNDLER_GIT_USER": user, "BUNDLER_GIT_PASSWORD": password}
    # For this server only: submodules may be on others.
    parts = urlsplit(bare)
    server = f"{parts.scheme}://{parts.netloc}"
    number = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    for key, value in settings:
        variables[f"GIT_CONFIG_KEY_{number}"] = f"credential.{server}.{key}"
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
        number += 1
        variables["GIT_CONFIG_COUNT"] = str(number)
    return bare, variables
