"""One authority, one certificate and their files, for every program to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from mlsssl import Certificate, CertificateAuthority

if TYPE_CHECKING:
    from pathlib import Path

HOST = "server-name.com"
PASSWORD = "Tür 5 auf!"


@dataclass(frozen=True)
class Issued:
    """A root, an intermediate, a server certificate, and a root that has nothing to do with them."""

    root: CertificateAuthority
    intermediate: CertificateAuthority
    leaf: Certificate
    stranger: CertificateAuthority
    folder: Path

    def file(self, name: str) -> Path:
        """A file in the folder they share."""
        return self.folder / name


@pytest.fixture(scope="session", params=["ec-p256", "rsa-2048"])
def issued(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Issued:
    """Root, intermediate and leaf of one key type, saved in the formats that programs read."""
    key = request.param
    root = CertificateAuthority.create("Interop Root", key=key)
    intermediate = root.create_intermediate("Interop Intermediate")
    leaf = intermediate.issue(HOST, "10.0.0.5", "fe80::5", "*.wild.example", "bücher.example")
    stranger = CertificateAuthority.create("Another Root", key="ec-p256")
    folder = tmp_path_factory.mktemp(f"issued-{key}")
    root.certificate.save(folder / "root.crt")
    stranger.certificate.save(folder / "stranger.crt")
    (folder / "intermediate.crt").write_bytes(intermediate.certificate.to_pem())
    (folder / "leaf.crt").write_bytes(leaf.to_pem())
    leaf.save(folder / "full.crt")
    leaf.save(folder / "leaf.key")
    leaf.save(folder / "leaf.pfx", password=PASSWORD)
    return Issued(root, intermediate, leaf, stranger, folder)
