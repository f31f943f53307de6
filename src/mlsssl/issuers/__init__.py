"""Who makes certificates: the one method that an authority, an ACME server, AD Certificate Services or a program has.

A private key is made where the service runs and stays there; what travels to an issuer is the request (RFC 2986).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import datetime as dt

    from mlsssl.certificate import Certificate
    from mlsssl.request import CertificateRequest

__all__ = ["Issuer", "RenewalTimes"]


@runtime_checkable
class Issuer(Protocol):
    """Anything that makes a certificate for a request: `CertificateAuthority` is one."""

    @property
    def name(self) -> str:
        """Who it is, for people and records: "SelfIssuedCA", a directory's address, a program's name. No secret."""
        ...

    def issue(self, request: CertificateRequest, /, *, old: Certificate | None) -> Certificate:
        """A certificate for the key and the names of this request, with the intermediates that clients need.

        It may take its time, within a bound of its own. The same request may come again: after a process was killed,
        or after the answer was still to come. An issuer then goes on with what it has begun (an order, a request's
        number), which it keeps under the request's `fingerprint`; it never begins a second time for one request.

        Args:
            request: Signed by the key that the certificate is for.
            old: The certificate that is replaced; None for the first.

        Raises:
            IssuePendingError: there is no answer yet; ask again with the same request, later.
            IssuerError: it refuses, or could not be reached.
        """
        ...

    def issued(self, certificate: Certificate) -> bool:
        """Whether this certificate is one of its own, so that it renews it."""
        ...


@runtime_checkable
class RenewalTimes(Protocol):
    """What an issuer has besides, that says itself when a certificate should be renewed (as RFC 9773 does)."""

    def renewal_time(self, certificate: Certificate) -> dt.datetime | None:
        """From when on to renew `certificate`, aware; None when it says nothing, and the share of its lifetime decides.

        It does not raise for a server that cannot be reached: that is None.
        """
        ...
