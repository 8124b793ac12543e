"""Commands that set HPS up: evaluators, templates and the login."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from bundler.cli.account import ReadAccount, connected, with_account
from bundler.cli.command import command, flag, json_option, publication_argument, with_trust
from bundler.cli.jobs import with_submission_options
from bundler.cli.terminal import result, say, warn
from bundler.lazily import lazily

with lazily():
    from bundler.hps import (
        capacity,
        errors,
        login as logins,
        redaction,
        registration,
        resources,
        template as templates,
    )
    from bundler.jobs import submission as submissions
    from bundler.trust import ssh_keygen


@command("check")
@publication_argument
@with_submission_options
@with_account
@json_option
def check_hps(publication: Path, options: Any, account: ReadAccount, as_json: bool) -> None:
    """Check whether an evaluator can run the jobs.

    Compares what the jobs of PUBLICATION need with the evaluators and compute resource sets of HPS. Prints one line for
    each of them: kind, name, platform, applications.

    \b
    Examples:
        bundler hps check /shared/store/publications/eval-0123456789ab
        bundler hps check /shared/store/publications/eval-0123456789ab --cores 64 --json
    """
    submission = submissions.compose(publication, [{}], options, values=False)
    with connected(account) as client:
        surveyed = resources.survey(client)
        lines = [_line(resource) for resource in surveyed]
        result({"resources": list(map(asdict, surveyed))}, lines, as_json=as_json)
        on_demand = [
            redaction.plain(resource.name) for resource in surveyed if resource.kind != "evaluator"
        ]
        if on_demand:
            say(
                f"Evaluators of {', '.join(on_demand)} start on demand with an empty cache (see `bundler guide hps`)"
            )
        for resource in surveyed:
            for text in resource.warnings:
                warn(f"{redaction.plain(resource.name)}: {text}")
        capacity.require_somewhere(client, submission, surveyed)


def _line(resource: resources.Resource) -> str:
    applications = [
        " ".join(filter(None, application)) for application in resource.applications or ()
    ]
    cells = (resource.kind, resource.name, resource.platform or "", ", ".join(applications))
    return "\t".join(map(redaction.plain, cells))


@command("register")
@click.option("--executable", metavar="PATH", required=True, help="Path of uv on the evaluators.")
@click.option(
    "--cache",
    metavar="DIR",
    required=True,
    help="UV_CACHE_DIR: a folder on a local disk of the nodes.",
)
@click.option("--name", default="uv", help="Name of the application.")
@click.option("--uv-version", metavar="VERSION", required=True, help="Version of uv at that path.")
@click.option(
    "--evaluator",
    "evaluators",
    metavar="NAME",
    multiple=True,
    help="Register on this evaluator only. Repeatable.  [default: all whose platform matches the paths]",
)
@flag("--apply", help="Write the registration, after showing the changes and asking.")
@flag("--yes", help="Do not ask.")
@with_account
@json_option
def register_uv(
    executable: str,
    cache: str,
    name: str,
    uv_version: str,
    evaluators: tuple[str, ...],
    apply: bool,
    yes: bool,
    account: ReadAccount,
    as_json: bool,
) -> None:
    """Register uv as an application of the evaluators.

    Shows the registration and how it differs from that of each evaluator; writes it with --apply. The applications of
    compute resource sets can only be changed in the web interface; enter the same values there. Prints the names of the
    evaluators that were changed.

    \b
    Examples:
        bundler hps register --executable /ansys_inc/uv/bin/uv --uv-version 0.13.9 --cache /tmp/scratch/uv_cache
        bundler hps register --executable /ansys_inc/uv/bin/uv --uv-version 0.13.9 --cache /tmp/scratch/uv_cache --apply
    """
    values = registration.registration(name, uv_version, executable, cache)
    for key, value in values.items():
        say(f"{key}: {value}")
    changed = []
    with connected(account) as client:
        alive = registration.evaluators_for(client, values, evaluators)
        if not alive and apply:
            fact = "no running evaluator has a platform on which these paths are valid"
            hint = "start an evaluator, or enter the registration for compute resource sets in the web interface"
            raise errors.HpsError(client.url, fact, hint)
        changes = registration.differences(client, values, alive)
        _say_changes(alive, changes)
        if changes and apply and (yes or click.confirm("Write these changes?", err=True)):
            for identity, (evaluator, _, applications) in changes.items():
                registration.register(client, identity, applications)
                changed.append(evaluator)
                if not as_json:
                    result(None, [evaluator])
    if as_json:
        result({"evaluators": changed}, [], as_json=True)


def _say_changes(alive: Sequence[resources.Resource], changes: Mapping[str, Any]) -> None:
    for evaluator, lines, _ in changes.values():
        say("\n  ".join([f"Evaluator {evaluator} would change:", *lines]))
    if not alive:
        say("No running evaluator has a platform on which these paths are valid.")
    elif not changes:
        names = [redaction.plain(evaluator.name) for evaluator in alive]
        say(f"Already registered on {', '.join(names)}")


@command("template")
@publication_argument
@with_submission_options
@with_trust
@click.option(
    "--name",
    metavar="NAME",
    help="Name of the template.  [default: Offline uv script: PUBLICATION]",
)
@flag("--for-anyone", help="Let all users of this HPS use it, not only your organization.")
@with_account
@json_option
def template(
    publication: Path,
    options: Any,
    trust: ssh_keygen.Trust | None,
    name: str | None,
    for_anyone: bool,
    account: ReadAccount,
    as_json: bool,
) -> None:
    """Create a task definition template.

    Others can then choose the script of PUBLICATION in the web interface. Prints the ID of the template.

    \b
    Examples:
        bundler hps template /shared/store/publications/eval-0123456789ab
        bundler hps template /shared/store/publications/eval-0123456789ab --name "Plot a sine" --for-anyone
    """
    submission = submissions.compose(publication, [{}], options, values=False, trust=trust)
    if len(submission.steps) > 1:
        raise click.UsageError("a template holds one script; choose it with --script")
    with connected(account) as client:
        name = name or f"Offline uv script: {submission.publication}"
        identity = templates.create_template(client, submission, name, for_anyone=for_anyone)
    result({"template": identity}, [identity], as_json=as_json)


@command("login")
@click.option(
    "--store",
    type=click.Choice(["keyring", "disk"]),
    default="keyring",
    help="Keep the tokens in the system's keyring, or in a file in HOME that only you can read.",
)
@flag("--device", help="Print a URL and a code, and log in with a browser on any device.")
@with_account
def login(store: str, device: bool, account: ReadAccount) -> None:
    """Log in with a browser and keep the tokens.

    Later commands then need no password. Storing them in the keyring needs the package `keyring`.

    \b
    Examples:
        bundler hps login --url https://host:8443/hps
        bundler hps login --store disk --device
    """
    target = account()
    logins.log_in(target, store, say, device=device)
    say(f"Logged in to {target.url}")
