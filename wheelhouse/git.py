"""Check out a commit of a git repository for a build."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from packaging.pylock import Package

from wheelhouse import files, process
from wheelhouse.credentials import Credentials, split_user
from wheelhouse.errors import BuildError, redacted


def checkout(
    package: Package, base: Path, scratch: Path, credentials: Credentials, *, with_lfs: bool
) -> tuple[Path, str, str]:
    """Check out the source of `package` below `scratch`; paths in `package` are relative to `base`.

    Like uv, fetches the history and tags, from which builds may take a version, submodules, and with `with_lfs` large
    files. Returns the folder of the source, its identity, and its description. Raises `BuildError`.
    """
    vcs = package.vcs
    assert vcs is not None  # noqa: S101 - checked by the caller
    name, commit = str(package.name), vcs.commit_id
    url, secrets = _without_secrets(vcs.url or files.real(base / str(vcs.path)).as_uri(), credentials)
    if vcs.type != "git" or not re.fullmatch(r"[0-9a-f]{40,64}", commit) or url.startswith("-"):
        raise BuildError(name, f"{vcs.type} at {commit} is not a git commit")
    if not re.match(r"(https?|ssh|file|git)://", url):
        raise BuildError(name, "its URL is not a git repository with https, ssh or file")
    repository = _Repository(
        project=name,
        tree=scratch / "checkout",
        variables={"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", **secrets},
    )
    repository.fetch(url, commit)
    if (repository.tree / ".gitmodules").is_file():
        repository.require("fetch the submodules", "submodule", "--quiet", "update", "--init", "--recursive")
    if with_lfs:
        repository.require("fetch the large files, for which git-lfs must be installed", "lfs", "pull", "origin")
    tree = repository.tree
    place = files.real(tree / (vcs.subdirectory or ""))
    if not place.is_relative_to(files.real(tree)) or not place.is_dir():
        raise BuildError(name, f"its repository has no folder {vcs.subdirectory}")
    # The number changes if the same commit gives another tree.
    key = hashlib.sha256(f"2 {url}@{commit}#{vcs.subdirectory}{with_lfs}".encode()).hexdigest()
    return place, key, f"git+{redacted(url)}@{commit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repository:
    """A repository for the source of `project` in the new folder `tree`; `variables` are for git."""

    project: str
    tree: Path
    variables: Mapping[str, str]

    def fetch(self, url: str, commit: str) -> None:
        """Fetch `commit` from `url` with its history and tags, and check it out. Raises `BuildError`."""
        failure = f"fetch {commit}"
        self.tree.mkdir()
        self.require(failure, "init", "--quiet")
        self.require(failure, "remote", "add", "origin", url)
        fetch = ("fetch", "--quiet", "--tags", "--force", "origin")
        if self._run(*fetch, commit) is not None:  # Not all servers offer single commits.
            self.require(failure, *fetch, "+refs/heads/*:refs/remotes/origin/*")
        self.require(failure, "checkout", "--quiet", "--detach", commit)

    def require(self, purpose: str, *arguments: str) -> None:
        """Run git. Raises `BuildError` with its messages if it fails."""
        messages = self._run(*arguments)
        if messages is not None:
            raise BuildError(self.project, f"git could not {purpose}", messages)

    def _run(self, *arguments: str) -> str | None:
        """Run git; return its messages if it fails."""
        try:
            code, _, messages = process.run(["git", "-C", str(self.tree), *arguments], env=self.variables)
        except FileNotFoundError:
            raise BuildError(self.project, "needs git, which is not installed") from None
        return messages if code else None


def _without_secrets(url: str, credentials: Credentials) -> tuple[str, dict[str, str]]:
    """Return `url` without user and password, and environment variables with them: everyone can see the options of git.

    Those of ssh are kept: a user alone is not a secret, and ssh does not use a password from a URL.
    """
    if not url.startswith(("http://", "https://")):
        return url, {}
    bare, user, password = split_user(url)
    if not user and not password:
        user, password = credentials.repositories.get(bare, ("", ""))
    # For this server only: submodules may be on others.
    server = "{0.scheme}://{0.netloc}".format(urlsplit(bare))
    if password:
        # The first value empties the list of credential helpers, which might have another account or store this one.
        helper = '!f() { printf "username=%s\\npassword=%s\\n" "$BUNDLER_GIT_USER" "$BUNDLER_GIT_PASSWORD"; }; f'
        settings = [(f"credential.{server}.helper", ""), (f"credential.{server}.helper", helper)]
    else:
        settings = [(f"credential.{server}.username", user)] if user else []
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    variables = {"GIT_CONFIG_COUNT": str(first + len(settings))} if settings else {}
    for number, (key, value) in enumerate(settings, first):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return bare, {**variables, "BUNDLER_GIT_USER": user, "BUNDLER_GIT_PASSWORD": password}
