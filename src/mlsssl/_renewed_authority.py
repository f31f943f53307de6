"""`RenewedAuthority`: what the renewal of an authority makes. A module of its own, for dataclasses are not free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlsssl.authority import CertificateAuthority
    from mlsssl.certificate import Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewedAuthority:
    """What `CertificateAuthority.renew` made.

    Attributes:
        authority: The successor. Its certificate is what clients are to trust from now on, beside the old one's until
            that ends. Of a root: "new with new" in RFC 4210.
        bridge: The same key with the certificate `new_with_old`: what it issues is accepted by clients that trust the
            old root only, and by those that trust the new one. Issue from it until every client has the new root. None
            where nothing needs it: for an intermediate, or with the old key.
        new_with_old: The new key certified by the old one; in the chain of whatever `bridge` issues. Ends with the old
            root.
        old_with_new: The old key certified by the new one: sent with what the old root has issued, it leads clients
            that trust the new root only. Ends with the old root.
    """

    authority: CertificateAuthority
    bridge: CertificateAuthority | None = None
    new_with_old: Certificate | None = None
    old_with_new: Certificate | None = None
