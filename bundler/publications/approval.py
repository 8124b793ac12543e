"""Which signatures a store requires, and that nobody publishes an older bundle in place of a newer one."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.bundle_folder import Bundle
from bundler.errors import SignatureError
from bundler.manifest import Manifest
from bundler.manifest_reader import read_manifest
from bundler.publications.history import events
from bundler.trust.signature import Approval, approvals
from bundler.trust.ssh_keygen import Trust, require_trust
from wheelhouse import atomic, files
from wheelhouse.errors import WheelhouseError
from wheelhouse.store.store import Store

_SIGNED_AT = re.compile(r"signed at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")
# In a store: the signers that it requires.
ALLOWED_SIGNERS = "allowed_signers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Whose signature is required, in addition to what the store requires, and whether older ones are accepted."""

    trust: Trust | None = None
    allow_older: bool = False


def trusts(store: Store, policy: Policy | None) -> list[Trust]:
    """Return the trust settings of `store` and `policy`; a bundle needs an accepted signature for each."""
    required = []
    own = store.path / ALLOWED_SIGNERS
    if _is_required(own):
        required.append(Trust(allowed=own))
    if policy is not None and policy.trust is not None:
        required.append(policy.trust)
    return required


def _is_required(path: Path) -> bool:
    """Return whether the store has a list of signers `path`. Raises `SignatureError` if there is one but not to read.

    What cannot be read is a refusal: a link that leads nowhere must not drop the requirement.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from error
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from error
    if not is_file:
        raise _unreadable(path, "it is not a regular file")
    return True


def _unreadable(path: Path, reason: str) -> SignatureError:
    return SignatureError(
        f"{path} cannot be read ({reason}), so nobody knows which signatures the store requires",
        problem="unknown",
        hint="restore the list of signers with `bundler store init --require-signature`",
    )


def require_signatures(store: Store, allowed: Path) -> None:
    """Let `store` accept only bundles that a signer in the file `allowed` signed. Raises `SignatureError`."""
    require_trust(Trust(allowed=allowed))
    with files.explained(allowed):
        data = files.read_input(allowed)
    path = store.path / ALLOWED_SIGNERS
    atomic.write(path, data, store.scratch)
    with files.explained(path):
        path.chmod(path.stat().st_mode & ~0o022)


def require_unsigned(store: Store) -> None:
    """Raise `SignatureError` if `store` accepts only signed bundles, which a folder of wheels is not."""
    if trusts(store, None):
        raise SignatureError(
            f"{store.path} accepts only signed bundles",
            problem="missing",
            hint="make a bundle of the wheels with `bundle`, and sign it",
        )


def require_approval(bundle: Bundle, store: Store, policy: Policy | None) -> list[Approval]:
    """Return the newest signature of `bundle` for each requirement of `store` and `policy`.

    Raises `SignatureError` if one is missing or not accepted, or if the store has or had a bundle of this name with a
    newer one.
    """
    result = []
    for trust in trusts(store, policy):
        newest = approvals(bundle.folder, trust)[0]
        if policy is None or not policy.allow_older:
            _require_newest(bundle.manifest, newest, store, trust)
        result.append(newest)
    return result


def _require_newest(manifest: Manifest, newest: Approval, store: Store, trust: Trust) -> None:
    later = signed_later(manifest, newest, store, trust) or _removed_later(manifest, newest, store)
    if later:
        raise SignatureError(
            f"{manifest.name} was signed at {newest.signed}, before {later}",
            problem="older",
            hint="use --allow-older to publish it anyway, or have the bundle signed again",
        )


def signed_later(manifest: Manifest, newest: Approval, store: Store, trust: Trust) -> str:
    """Return the publication in `store` of the same name that was signed after `newest`, with its time, or nothing."""
    for place in _same_name(manifest, store):
        try:
            there = approvals(place, trust)[0]
        except WheelhouseError:
            continue  # Not signed by one of them, or just being removed.
        if there.manifest != newest.manifest and there.signed > newest.signed:
            return f"{place.name} ({there.signed})"
    return ""


def signed_at(approved: Sequence[Approval]) -> str:
    """Return what the history of a store says about the signatures of a publication."""
    return f"signed at {max(approval.signed for approval in approved)}" if approved else ""


def _removed_later(manifest: Manifest, newest: Approval, store: Store) -> str:
    """Return a publication like `signed_later`, which may have been removed since, according to the history."""
    history, _ = events(store)
    for event in history:
        match = _SIGNED_AT.fullmatch(event.detail)
        is_same_name = event.subject.rpartition("-")[0] == manifest.name
        if match and is_same_name and event.sha256 != newest.manifest and match[1] > newest.signed:
            return f"{event.subject} ({match[1]}), which was published on {event.time[:10]}"
    return ""


def _same_name(manifest: Manifest, store: Store) -> Iterator[Path]:
    """Yield the publications of bundles with the name of `manifest`."""
    if store.publications.is_dir():
        for place in sorted(store.publications.glob(f"{manifest.name}-*")):
            try:
                other = read_manifest(place)
            except WheelhouseError:
                continue
            if other.name == manifest.name:
                yield place
