"""When a certificate is due: when its issuer says so, else after a share of its lifetime; and how late it is then."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from mlsssl._validator.findings import machine_finding
from mlsssl._validator.report import Severity
from mlsssl.issuers import RenewalTimes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._validator.report import Finding
    from mlsssl.certificate import Certificate
    from mlsssl.issuers import Issuer


def due_at(certificate: Certificate, issuer: Issuer) -> dt.datetime:
    """From when on to renew it, aware."""
    said = said_by(issuer)(certificate)
    return certificate.renewal_time() if said is None else said


def said_by(issuer: Issuer) -> Callable[[Certificate], dt.datetime | None]:
    """What says when a certificate is to be renewed, where its issuer does: asked once for many certificates."""
    return issuer.renewal_time if isinstance(issuer, RenewalTimes) else lambda _: None


def how_late(due: dt.datetime, end: dt.datetime, at: dt.datetime) -> Severity | None:
    """How loudly to say that a certificate is due; None before it is.

    The time from then to its end has three parts: in the first a scheduled renewal has just not run yet, which is a
    notice; in the second something is wrong, a warning; in the third somebody has to act now, an error. Of 199 days
    these are the last 67, 45 and 22; of 47 days the last 16, 10 and 5.
    """
    if at < due:
        return None
    third = max(end - due, dt.timedelta(0)) / 3
    if at - due < third:
        return Severity.NOTICE
    return Severity.WARNING if at - due < 2 * third else Severity.ERROR


def about_late(
    where: str, certificate: Certificate, due: dt.datetime, at: dt.datetime, why: str | None = None
) -> Finding | None:
    """What there is to say of a bound certificate that has not been renewed, and why not; None while it is not due."""
    severity = how_late(due, certificate.not_after, at)
    if severity is None:
        return None
    left = certificate.not_after - at
    if left < dt.timedelta(0):
        ends = f"has ended on {certificate.not_after:%Y-%m-%d %H:%M} UTC"
    else:
        amount = f"{left.days} days" if left.days > 1 else f"{left / dt.timedelta(hours=1):.0f} hours"
        ends = f"ends on {certificate.not_after:%Y-%m-%d %H:%M} UTC, in {amount}"
    found = f"it should have been renewed from {due:%Y-%m-%d %H:%M} UTC on, and {ends}"
    return machine_finding("renewal-due", where, found + (f"; not renewed: {why}" if why else ""), severity=severity)
