"""Stores that accept only signed bundles, and none that is older than what is there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bundler import api, assurance
from bundler.errors import SignatureError
from bundler.jobs.submission import compose
from bundler.layout import SIGNATURES
from bundler.manifest_reader import parse
from bundler.publications.aliases import point
from bundler.publications.approval import ALLOWED_SIGNERS, Policy, require_signatures
from bundler.publications.history import events
from bundler.trust import signature, ssh_keygen, statement
from bundler.trust.provenance import provenance
from bundler.trust.ssh_keygen import Trust
from bundler.trust.statement import Statement
from tests.conftest import Workplace
from tests.stand_ins.signers import allow, make_key
from wheelhouse.errors import WheelhouseError
from wheelhouse.store.creation import create_store


@pytest.fixture(scope="module")
def anna(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "anna")


def sign_on(day: str, bundle: Path, key: Path) -> None:
    """Sign `bundle` as of another day."""
    shutil.rmtree(bundle / SIGNATURES, ignore_errors=True)
    path = signature.sign(bundle, key).with_suffix("")
    data = Statement(f"{day}T00:00:00Z", statement.parse(path.read_bytes()).digests).to_bytes()
    path.write_bytes(data)
    path.with_suffix(".sums.sig").write_bytes(ssh_keygen.sign(data, key))


@pytest.fixture
def months(bundles: dict[str, Path], tmp_path: Path, anna: Path) -> dict[str, Path]:
    """The bundles of two months, signed then."""
    copies = {
        name: shutil.copytree(bundles[name], tmp_path / name / "solve.bundle")
        for name in ("first", "second")
    }
    for (_, bundle), day in zip(copies.items(), ("2026-01-31", "2026-02-28"), strict=True):
        sign_on(day, bundle, anna)
    return copies


def names(store: Path) -> list[str]:
    return sorted(path.name for path in (store / "publications").iterdir())


def refused(bundle: Path, store: Path, policy: Policy | None = None) -> str:
    before = names(store)
    with pytest.raises(SignatureError) as caught:
        api.publish(bundle, store, policy=policy)
    assert names(store) == before
    return caught.value.problem


def test_a_store_accepts_only_what_its_signers_have_signed(
    months: dict[str, Path], bundles: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    store = create_store(tmp_path / "store")
    require_signatures(store, allow(anna).allowed)
    assert refused(bundles["second"], store.path) == "missing"
    sign_on("2026-02-28", months["first"], make_key(tmp_path / "ben"))
    assert refused(months["first"], store.path) == "unknown"
    publication = api.publish(months["second"], store.path)
    assert assurance.approvals(publication, allow(anna))[0].signer.name == "anna@site"


def test_a_policy_needs_a_valid_file(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    (tmp_path / "junk").write_text("junk")
    with pytest.raises(SignatureError, match="line 1 is not an allowed signer"):
        require_signatures(store, tmp_path / "junk")
    assert not (store.path / ALLOWED_SIGNERS).exists()


def test_folders_of_wheels_are_refused_where_signatures_are_required(
    bundles: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    store = create_store(tmp_path / "store")
    require_signatures(store, allow(anna).allowed)
    with pytest.raises(SignatureError, match="accepts only signed bundles"):
        api.publish_wheels(bundles["first"] / "wheels", store.path)
    assert not names(store.path)


@pytest.mark.parametrize("kind", ["dangling", "loop", "pipe", "folder"])
def test_a_list_of_signers_that_cannot_be_read_is_a_refusal(
    bundles: dict[str, Path], tmp_path: Path, anna: Path, kind: str
) -> None:
    store = create_store(tmp_path / "store")
    require_signatures(store, allow(anna).allowed)
    signers = store.path / ALLOWED_SIGNERS
    signers.unlink()
    match kind:
        case "dangling":
            signers.symlink_to("nowhere")
        case "loop":
            signers.symlink_to(signers.name)
        case "pipe":
            os.mkfifo(signers)
        case _:
            signers.mkdir()
    assert refused(bundles["first"], store.path) == "unknown"


def test_both_the_store_and_the_publisher_can_require_a_signature(
    months: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    store = create_store(tmp_path / "store")
    require_signatures(store, allow(anna).allowed)
    trust: Trust = allow(make_key(tmp_path / "ben"))
    assert refused(months["second"], store.path, Policy(trust=trust)) == "unknown"
    signature.sign(months["second"], tmp_path / "ben")
    api.publish(months["second"], store.path, policy=Policy(trust=trust))


def test_a_bundle_that_was_signed_earlier_is_refused_unless_it_is_wanted(
    months: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    store, policy = create_store(tmp_path / "store").path, Policy(trust=allow(anna))
    api.publish(months["second"], store, policy=policy)
    assert refused(months["first"], store, policy) == "older"
    api.publish(months["second"], store, policy=policy)
    api.publish(months["first"], store, policy=Policy(trust=policy.trust, allow_older=True))
    assert len(names(store)) == 2


def test_an_older_bundle_is_refused_also_once_the_newer_one_was_removed(
    months: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    store = create_store(tmp_path / "store")
    policy = Policy(trust=allow(anna))
    newer = api.publish(months["second"], store.path, policy=policy)
    assert [event.detail for event in events(store)[0]] == ["signed at 2026-02-28T00:00:00Z"]
    shutil.rmtree(newer)
    assert refused(months["first"], store.path, policy) == "older"
    api.publish(months["second"], store.path, policy=policy)
    assert api.publish(
        months["first"], store.path, policy=Policy(trust=allow(anna), allow_older=True)
    )


def test_submitting_an_older_one_than_the_store_has_is_a_warning(
    months: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    """Somebody may have moved an alias back."""
    store = create_store(tmp_path / "store")
    policy = Policy(trust=allow(anna), allow_older=True)
    newer = api.publish(months["second"], store.path, policy=policy)
    alias = point(store, "current", newer.name)
    assert compose(alias, [{}], trust=allow(anna)).warnings == ()
    older = api.publish(months["first"], store.path, policy=policy)
    alias.unlink()
    alias.symlink_to(f"../publications/{older.name}")
    (warning,) = compose(alias, [{}], trust=allow(anna)).warnings
    assert (
        f"{older.name} was signed at 2026-01-31T00:00:00Z, before {newer.name} (2026-02-28T00:00:00Z)"
        in warning
    )
    assert compose(alias, [{}]).warnings == ()


def test_signing_an_old_bundle_again_says_that_it_is_wanted(
    months: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    store, policy = create_store(tmp_path / "store").path, Policy(trust=allow(anna))
    api.publish(months["second"], store, policy=policy)
    sign_on("2026-03-01", months["first"], anna)
    api.publish(months["first"], store, policy=policy)


def test_what_nobody_signed_makes_nothing_older(
    months: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    store, policy = create_store(tmp_path / "store").path, Policy(trust=allow(anna))
    sign_on("2099-01-01", months["second"], make_key(tmp_path / "mallory"))
    api.publish(months["second"], store)
    (store / "publications" / "solve-junk").mkdir()
    api.publish(months["first"], store, policy=policy)


def test_publishing_again_adds_a_signature_and_says_so(
    months: dict[str, Path], bundles: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    store = create_store(tmp_path / "store")
    publication = api.publish(bundles["second"], store.path)
    with pytest.raises(SignatureError, match="has no signature"):
        assurance.approvals(publication, allow(anna))
    assert api.publish(months["second"], store.path) == publication
    assert assurance.approvals(publication, allow(anna))
    api.verify(publication)
    assert [event.action for event in events(store)[0]] == ["publish", "sign"]


def test_a_signature_with_another_provenance_replaces_none_in_the_store(
    months: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    store, ben = create_store(tmp_path / "store").path, make_key(tmp_path / "ben")
    publication = api.publish(months["second"], store)
    manifest = (months["second"] / "manifest.json").read_bytes()
    times = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z")
    (months["second"] / "provenance.json").write_bytes(
        provenance(parse(manifest, publication), [], {}, "1", times)
    )
    sign_on("2026-03-01", months["second"], ben)
    api.publish(months["second"], store)
    assert assurance.approvals(publication, allow(anna))
    with pytest.raises(
        SignatureError, match="is already published with another provenance.json"
    ) as caught:
        api.publish(months["second"], store, policy=Policy(trust=allow(ben)))
    assert f"hint: sign the publication: bundler sign {publication}" in str(caught.value)
    assurance.sign(publication, ben)
    assert len(assurance.approvals(publication, allow(ben))) == 1
    assert len(assurance.approvals(publication, allow(anna))) == 1


def test_what_is_not_a_signature_is_not_published(
    months: dict[str, Path], tmp_path: Path, anna: Path
) -> None:
    store, junk = (
        create_store(tmp_path / "store").path,
        months["second"] / SIGNATURES / "00000000deadbeef.sums",
    )
    junk.write_bytes(b"junk")
    junk.with_suffix(".sums.sig").write_bytes(b"junk")
    publication = api.publish(months["second"], store, policy=Policy(trust=allow(anna)))
    assert not (publication / SIGNATURES / junk.name).exists()
    junk.write_bytes(b"x" * (2 << 20))
    with pytest.raises(WheelhouseError, match="foreign  signatures/00000000deadbeef.sums"):
        api.verify(months["second"])


def test_too_many_signatures_are_an_error(months: dict[str, Path], anna: Path) -> None:
    (genuine,) = (months["second"] / SIGNATURES).glob("*.sums")
    for number in range(101):
        shutil.copy(genuine, genuine.with_name(f"{number:016x}.sums"))
    with pytest.raises(WheelhouseError, match="has more than 100 signatures\nhint: "):
        assurance.approvals(months["second"], allow(anna))


def test_a_store_with_an_invalid_policy_is_not_created(workplace: Workplace) -> None:
    done = workplace.run("bundler", "store", "init", "store", "--require-signature", "missing")
    assert done.returncode == 1
    assert not (workplace.folder / "store").exists()


@pytest.mark.parametrize("harm", ["readme", "provenance", "signature"])
def test_repairing_a_publication_keeps_the_signatures_that_are_whole(
    months: dict[str, Path], bundles: dict[str, Path], tmp_path: Path, anna: Path, harm: str
) -> None:
    store = create_store(tmp_path / "store").path
    publication = api.publish(months["second"], store)
    (statement_path,) = (publication / SIGNATURES).glob("*.sums")
    damaged = {
        "readme": publication / "README.txt",
        "provenance": publication / "provenance.json",
    }.get(harm, statement_path)
    damaged.unlink(missing_ok=True)
    damaged.write_bytes(b"damaged")
    if harm == "signature":
        (publication / "README.txt").unlink()
    assert api.publish(bundles["second"], store) == publication
    api.verify(publication)
    assert bool(list((publication / SIGNATURES).glob("*"))) is (harm != "signature")
    if harm != "signature":
        assert assurance.approvals(publication, allow(anna))
