"""An issuer for tests that remembers on disk what it was asked, as a server does; its answers can be made to fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlsssl import Certificate, CertificateAuthority, CertificateRequest, IssuePendingError, IssuerError
from mlsssl._machine import files

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable
    from pathlib import Path

AUTHORITY = CertificateAuthority.create("Distant CA", key="ec-p256")


class DistantIssuer:
    """Orders and their certificates are files in a folder, by the request's fingerprint: what an issuer keeps.

    Args:
        folder: Where; it is made.
        hit: Called before and after each thing that the issuer does.
    """

    def __init__(self, folder: Path, *, hit: Callable[[str], None] = lambda _: None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.hit = hit
        self.waits = 0
        """How many times it answers that there is no answer yet."""
        self.refuses: Exception | None = None
        self.changed: Callable[[Certificate, CertificateRequest], Certificate] = lambda certificate, _: certificate
        """What it gives in place of the certificate that it has issued."""
        self.asked: list[tuple[CertificateRequest, Certificate | None]] = []

    @property
    def name(self) -> str:
        """As `Issuer`."""
        return "Distant"

    def issued(self, certificate: Certificate) -> bool:
        """As `Issuer`."""
        return AUTHORITY.issued(certificate)

    def issue(self, request: CertificateRequest, /, *, old: Certificate | None) -> Certificate:
        """As `Issuer`: one order for a request, however often it comes."""
        assert request.private_key is None
        assert old is None or not old.has_private_key
        self.asked.append((request, old))
        self.hit("issuer asked")
        if self.refuses is not None:
            raise self.refuses
        order = self.folder / f"{request.fingerprint}.order"
        if not order.exists():
            order.write_text(json.dumps({"names": request.names}))
        self.hit("issuer ordered")
        if self.waits > 0:
            self.waits -= 1
            raise IssuePendingError("Distant has not approved it yet", issuer=self.name)
        answer = self.folder / f"{request.fingerprint}.pem"
        if not answer.exists():
            made = AUTHORITY.issue(request, old=old)
            files.write(answer, made.to_pem(chain=True), private=False)
        self.hit("issuer answers")
        return self.changed(Certificate.load(answer), request)

    @property
    def orders(self) -> list[str]:
        """The fingerprints of the requests that it has an order for."""
        return sorted(path.stem for path in self.folder.glob("*.order"))


class TimedIssuer(DistantIssuer):
    """One that also says when to renew."""

    when: dt.datetime | None = None

    def renewal_time(self, certificate: Certificate) -> dt.datetime | None:
        """As `RenewalTimes`."""
        assert self.issued(certificate)
        return self.when


REFUSED = IssuerError("Distant refuses: the name is not yours", issuer="Distant")
