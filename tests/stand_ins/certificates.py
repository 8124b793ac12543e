"""A certificate authority of a site, with certificates for a server on loopback and for a client, by openssl."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """The files of an authority: its own certificate, and key and certificate of server and client in one file each."""

    certificate: Path
    server: Path
    client: Path

    def context(self, *, asks_client: bool = False) -> ssl.SSLContext:
        """Return the context of a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        if asks_client:
            context.load_verify_locations(self.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_authority(folder: Path) -> Authority:
    """Make an authority in `folder`."""
    folder.mkdir(parents=True)
    root, key = folder / "root.pem", folder / "root.key"
    _openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        root,
        "-days",
        "2",
        "-subj",
        "/CN=site",
    )
    made = []
    for name in ("server", "client"):
        request, own, signed = (
            folder / f"{name}.csr",
            folder / f"{name}.key",
            folder / f"{name}.crt",
        )
        extensions = folder / f"{name}.cnf"
        extensions.write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        _openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            own,
            "-out",
            request,
            "-subj",
            f"/CN={name}",
        )
        _openssl(
            *(
                "x509",
                "-req",
                "-in",
                request,
                "-CA",
                root,
                "-CAkey",
                key,
                "-CAcreateserial",
                "-days",
                "2",
            ),
            *("-extfile", extensions, "-out", signed),
        )
        both = folder / f"{name}.pem"
        both.write_bytes(own.read_bytes() + signed.read_bytes())
        made.append(both)
    return Authority(certificate=root, server=made[0], client=made[1])


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
