"""When a certificate is due: when its issuer says so, else after a share of its lifetime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl.issuers import RenewalTimes

if TYPE_CHECKING:
    import datetime as dt

    from mlsssl.certificate import Certificate
    from mlsssl.issuers import Issuer


def due_at(certificate: Certificate, issuer: Issuer, fraction: float = 2 / 3, jitter: float = 1 / 20) -> dt.datetime:
    """From when on to renew it, aware; `fraction` and `jitter` as in `Certificate.renewal_time`.

    `InvalidInputError` when one of them is out of its range, also when they do not count.
    """
    share = certificate.renewal_time(fraction, jitter=jitter)
    said = issuer.renewal_time(certificate) if isinstance(issuer, RenewalTimes) else None
    return share if said is None else said
