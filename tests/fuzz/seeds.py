"""What the fuzzer starts from: whole examples, and the inputs that it found to lead elsewhere, one file per target."""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

from bundler.layout import DELTA, MANIFEST, SUMS, sums
from bundler.trust.provenance import provenance
from tests.fuzz.targets import a_manifest
from tests.stand_ins.osv import record
from tests.stand_ins.wheels import make_wheel
from wheelhouse.store.index import root_page

_KEPT = Path(__file__).parent / "seeds"
_SHA256 = "ab" * 32
_LOCK = f"""version = 1
requires-python = "==3.12.*"
[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "simple" }}
wheels = [{{ path = "../../../wheels/alpha-1.0-py3-none-any.whl", hash = "sha256:{_SHA256}" }}]
"""
_PYLOCK = f"""lock-version = "1.0"
created-by = "bundler"
[[packages]]
name = "alpha"
version = "1.0"
[[packages.wheels]]
path = "../../wheels/alpha-1.0-py3-none-any.whl"
[packages.wheels.hashes]
sha256 = "{_SHA256}"
"""
_PAGE = f'<a href="../../../../wheels/alpha-1.0-py3-none-any.whl#sha256={_SHA256}">alpha</a><br>\n'
_SCRIPT = """# /// script
# requires-python = ">=3.9"
# dependencies = ["alpha>=1; sys_platform == 'linux'"]
# [tool.uv]
# index = [{ url = "https://a.test/simple" }]
# [tool.bundler]
# application = "uv"
# cores = 2
# memory = "1 GB"
# outputs = ["a.txt"]
# [tool.bundler.parameters]
# x = { default = 1.5, low = 1, high = 2 }
# ///
print(1)
"""
_RECORD = {
    "project": "alpha",
    "filename": "alpha-1.0-py3-none-any.whl",
    "sha256": _SHA256,
    "requires_python": ">=3.9",
    "metadata_sha256": _SHA256,
}
_FACTS = {
    "system": "Linux",
    "machine": "x86_64",
    "libc": ["glibc", 2, 36],
    "pythons": {"3.12.1": "/usr/bin/python3", "pypy3.9.16": "/usr/bin/pypy3"},
    "uv": "0.13.9",
    "cache": None,
    "temporary": {"path": "/tmp", "free": 1},
}
_MEMORY = {
    "folder": "targets/a",
    "uv": "/bin/sh",
    "python": "/bin/sh",
    "identities": {"uv": [], "python": []},
}
_USE = {
    "publication": "/share/publications/a",
    "holds": ["0123456789abcdef", "../mine", "/"],
    "prepared": True,
}
_JOBS = [
    {
        "id": "1",
        "name": "case",
        "eval_status": "evaluated",
        "values": {"x": 1.5, "=y": "=cmd|' /C calc'!A0"},
    }
]
_TASKS = [
    {
        "id": "t",
        "job_id": "1",
        "task_definition_id": "s",
        "output_file_ids": ["f"],
        "trial_number": 1,
    }
]
_FILES = [
    {
        "id": "f",
        "name": "a",
        "evaluation_path": "out/a.txt",
        "hash": "AB",
        "size": 3,
        "storage_id": "p/f",
    }
]
_STEPS = [{"id": "s", "name": "solve"}]


_STATEMENT = (
    f"# signed: 2026-01-02T03:04:05Z\n{_SHA256}  SHA256SUMS\n{_SHA256}  manifest.json\n".encode()
)
_SIGNERS = b"""# Who may sign.
anna@site,!ben@site namespaces="bundle@hps-bundler",valid-before="20300101" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGH6tKs
*@site cert-authority ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGH6tKs comment
"""
_ADVISORY = record(
    "GHSA-1",
    "alpha",
    [("introduced", "0"), ("fixed", "2.0"), ("introduced", "3.0"), ("last_affected", "4.0")],
    versions=["1.0", "one"],
    aliases=["CVE-2026-1"],
    summary="Reads any file",
    severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    database_specific={"severity": "HIGH"},
    withdrawn=None,
)
_ACCEPTED = {
    "timestamp": "2026-01-02T03:04:05Z",
    "statements": [
        {
            "vulnerability": {"name": "CVE-2026-1"},
            "products": [{"@id": "pkg:pypi/alpha@1.0"}, "pkg:pypi/alpha"],
            "status": "not_affected",
            "impact_statement": "never called",
        }
    ],
}
_POLICY = b"""allowed-licences = ["MIT", "BSD License"]
maximum-severity = "medium"
minimum-release-age = "7 d"
required-signers = ["anna@site"]
forbidden-packages = ["beta<2"]
"""
_PARTS = {
    "components": [{"name": "zlib", "version": "1.3", "purl": "pkg:generic/zlib@1.3"}],
    "packages": [],
}


def seeds(target: str) -> list[bytes]:
    """Return the inputs that the fuzzer starts `target` with: examples first."""
    kept = _KEPT / f"{target}.txt"
    lines = kept.read_text(encoding="ascii").splitlines() if kept.exists() else []
    return list(dict.fromkeys([*_examples()[target], *(ast.literal_eval(line) for line in lines)]))


def keep(target: str, found: list[bytes]) -> int:
    """Keep those of `found` that are no examples; return how many."""
    new = sorted(set(found) - set(_examples()[target]), key=lambda data: (len(data), data))
    (_KEPT / f"{target}.txt").write_text("".join(f"{data!r}\n" for data in new), encoding="ascii")
    return len(new)


def _json(*values: object) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def _examples() -> dict[str, list[bytes]]:
    manifest = a_manifest()
    digests = {file.path: file.sha256 for file in manifest.files} | {MANIFEST: _SHA256}
    pages = [root_page(["alpha"]).decode(), _PAGE]
    return {
        "statement": [_STATEMENT],
        "provenance": [_provenance()],
        "signers": [_SIGNERS],
        "advisory": [
            b"j" + json.dumps(_ADVISORY).encode(),
            b"\xff" + json.dumps(_ADVISORY, indent=1).encode(),
        ],
        "advisories": [_zipped_advisory()],
        "acceptance": _json(_ACCEPTED),
        "policy": [_POLICY],
        "contents": [_rich_wheel()],
        "manifest": [manifest.to_json()],
        "sums": [sums(digests)],
        "publication": _json({"strategy": "index", "scripts": {}}, {"strategy": "environment"}),
        "named_wheels": [
            bytes([number]) + text.encode()
            for number, text in enumerate([_PYLOCK, "", _LOCK, *pages])
        ],
        "script": [_SCRIPT.encode()],
        "wheel": [_wheel()],
        "wheel_name": [
            b"alpha-1.0-py3-none-any.whl",
            b"a_b-1!2.0rc1+l.1-1_b-cp312-abi3-manylinux_2_28_x86_64.whl",
        ],
        "archive": [b"t" + _tar(), b"t" + gzip.decompress(_tar()), b"z" + _wheel()],
        "bundles": [_bundles(), _bundles(b'{"left_out": ["wheels/alpha-1.0-py3-none-any.whl"]}')],
        "parts": [f"{_SHA256}  a.tar.001\n{_SHA256}  a.tar.002\n".encode()],
        "store": _json({"format": 1}, {"format": 2}),
        "record": _json(_RECORD),
        "facts": _json(_FACTS, {**_FACTS, "libc": None, "uv": None}),
        "memory": _json(_MEMORY, _USE),
        "output_parameters": _json({"x": 1.5, "y": "text"}),
        "arguments": [b"--size 3 'a b'", b'["a", 1]', b"a.py", b'["a.py", "b.py"]'],
        "hps": _json([_JOBS, _TASKS, _FILES, _STEPS]),
    }


def _provenance() -> bytes:
    facts = {
        "alpha-1.0-py3-none-any.whl": {
            "uploaded": "2026-01-02T03:04:05Z",
            "yanked": None,
            "status": "active",
        }
    }
    times = ("2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z")
    return provenance(a_manifest(), ["https://a.test/simple"], facts, "0.13.9", times)


def _zipped_advisory() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", json.dumps(_ADVISORY))
    return out.getvalue()


def _rich_wheel() -> bytes:
    headers = ["License: MIT\n  more", "Classifier: License :: OSI Approved :: MIT License"]
    requires = [
        "beta>1; python_version >= '3.9' and extra == 'x'",
        "gamma[y]; sys_platform == 'linux'",
    ]
    files = {"alpha.so": b"", "alpha-1.0.dist-info/sboms/a.json": json.dumps(_PARTS).encode()}
    return make_wheel("alpha", requires=requires, headers=headers, files=files)[1]


def _wheel() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in (
            ("alpha.py", "x"),
            (
                "alpha-1.0.dist-info/METADATA",
                "Metadata-Version: 2.1\nName: alpha\nVersion: 1.0\nRequires-Python: >=3\n",
            ),
        ):
            archive.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


def _bundles(delta: bytes = b"") -> bytes:
    """Return the start of an archive of bundles: the manifest, the sums and one file, which is damaged."""
    manifest = a_manifest()
    data = manifest.to_json()
    digests = {
        MANIFEST: hashlib.sha256(data).hexdigest(),
        **{file.path: file.sha256 for file in manifest.files},
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w|") as tar:
        members = [(MANIFEST, data), (SUMS, sums(digests)), *([(DELTA, delta)] if delta else [])]
        for name, content in (*members, (manifest.files[0].path, b"x")):
            member = tarfile.TarInfo(f"{manifest.name}.bundle/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue().rstrip(b"\0") + bytes(1024)  # short, as the fuzzer cuts what is long


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, link in (
            ("python/bin/python3.12", tarfile.REGTYPE, ""),
            ("python/bin/python3", tarfile.SYMTYPE, "python3.12"),
            ("python/lib", tarfile.DIRTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            tar.addfile(member)
    return gzip.compress(out.getvalue()[:2560], mtime=0)
