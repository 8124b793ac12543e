"""A bill of materials in CycloneDX 1.6 (ECMA-424) for a script on a target, as a function of its inputs."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping

from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.model.tool import Tool
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from bundler.assessment.contents import Contents, Part, read_contents
from bundler.assessment.graph import dependencies
from bundler.assessment.licence import Licence
from bundler.bundle_folder import Bundle
from bundler.layout import SBOMS, WHEELS
from bundler.manifest import File, ScriptEntry, TargetEntry
from bundler.version import __version__
from wheelhouse.wheel import BUILT_FROM

_SUFFIX = ".cdx.json"
# Of the identifiers of documents (RFC 9562), which are the same for the same inputs.
_NAMESPACE = uuid.UUID("6a8f5c9e-54e5-5d2f-9b4c-0f5f3c1d7e21")


def sbom_path(script: str, target: str) -> str:
    """Return the path of the bill of materials in a bundle."""
    return f"{SBOMS}{script}.{target}{_SUFFIX}"


def sboms(bundle: Bundle) -> dict[str, bytes]:
    """Return the bills of materials of `bundle` by path (see `sbom_path`).

    The files must have been verified before. Raises `WheelError`, `FileError`.
    """
    manifest = bundle.manifest
    listed = {file.path: file for file in manifest.files}
    read: dict[str, Contents] = {}
    documents: dict[str, bytes] = {}
    for target in manifest.targets:
        for names in (*target.wheels.values(), _tool_wheels(target)):
            for name in names:
                if name not in read:
                    read[name] = read_contents(bundle.folder / WHEELS / name)
        for script in manifest.scripts:
            documents[sbom_path(script.name, target.name)] = _document(script, target, read, listed)
    return documents


def _tool_wheels(target: TargetEntry) -> list[str]:
    if not target.uv:
        return []
    return [target.uv.removeprefix(WHEELS)]


def _document(
    script: ScriptEntry,
    target: TargetEntry,
    read: Mapping[str, Contents],
    listed: Mapping[str, File],
) -> bytes:
    wheels = [read[name] for name in target.wheels[script.name]]
    components = {contents.filename: _component(contents, listed) for contents in wheels}
    root = Component(
        name=script.name,
        type=ComponentType.APPLICATION,
        bom_ref=script.name,
        hashes=_hashes(script.sha256),
        properties=_properties(
            {"target": target.name, "python": target.python, "platform": target.platform}
        ),
    )
    tools = [_component(read[name], listed) for name in _tool_wheels(target)]
    if target.interpreter:
        tools.append(_interpreter(target, listed[target.interpreter]))
    digests = sorted(listed[f"{WHEELS}{name}"].sha256 for name in target.wheels[script.name])
    bom = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, "\n".join([script.sha256, target.name, *digests])),
        components=[*components.values(), *tools],
        metadata=BomMetaData(component=root),
    )
    bom.metadata.timestamp = None  # type: ignore[assignment]  # optional in the specification
    bom.metadata.tools.tools.add(Tool(name="hps-bundler", version=__version__))
    direct, edges = dependencies(script, target, wheels)
    bom.register_dependency(root, [components[name] for name in sorted(direct)])
    for name, needed in edges.items():
        bom.register_dependency(components[name], [components[other] for other in sorted(needed)])
    return f"{JsonV1Dot6(bom).output_as_string(indent=1)}\n".encode()


def _component(contents: Contents, listed: Mapping[str, File]) -> Component:
    file = listed[f"{WHEELS}{contents.filename}"]
    facts = {
        "filename": contents.filename,
        "size": str(file.size),
        "native-files": str(len(contents.native)),
    }
    if file.origin and file.origin.startswith(BUILT_FROM):
        facts["origin"] = file.origin
    licence = contents.licence
    if licence.expression is None:
        facts["licence"] = "unclassified" if licence.texts else "not declared"
    return Component(
        name=contents.project,
        version=contents.version,
        type=ComponentType.LIBRARY,
        bom_ref=contents.filename,
        purl=PackageURL(
            "pypi", None, contents.project, contents.version, {"file_name": contents.filename}
        ),
        hashes=_hashes(file.sha256),
        licenses=_licences(licence),
        external_references=_distribution(file),
        properties=_properties(facts),
        components=[
            _nested(contents.filename, number, part) for number, part in enumerate(contents.parts)
        ],
    )


def _interpreter(target: TargetEntry, file: File) -> Component:
    filename = file.path.rpartition("/")[2]
    return Component(
        name="python",
        version=target.python,
        type=ComponentType.PLATFORM,
        bom_ref=filename,
        hashes=_hashes(file.sha256),
        external_references=_distribution(file),
        properties=_properties({"filename": filename, "size": str(file.size)}),
    )


def _nested(filename: str, number: int, part: Part) -> Component:
    """Return a component inside the wheel `filename`; its own identifier could occur in two wheels."""
    purl = None
    if part.purl:
        with contextlib.suppress(ValueError):
            purl = PackageURL.from_string(part.purl)
    return Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{filename}#{number}",
        purl=purl,
    )


def _hashes(sha256: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)]


def _licences(licence: Licence) -> list[License]:
    if licence.expression is not None:
        return [LicenseExpression(licence.expression)]
    return [DisjunctiveLicense(name=text) for text in licence.texts]


def _distribution(file: File) -> list[ExternalReference]:
    if file.origin is None or "://" not in file.origin or file.origin.startswith(BUILT_FROM):
        return []
    return [ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(file.origin))]


def _properties(facts: Mapping[str, str]) -> list[Property]:
    return [Property(name=f"hps-bundler:{name}", value=value) for name, value in facts.items()]
