"""Audits of as many bindings as wanted, without a machine."""

from __future__ import annotations

import datetime as dt
import random
import uuid

from mlsssl import Audit, AuditReservation, AuditRow, BindingKey, HostnamePort, IpPort, Thumbprint, UrlPrefix
from mlsssl._validator.findings import machine_finding
from mlsssl._validator.report import Finding, Severity

AT = dt.datetime(2026, 11, 29, 10, 0, tzinfo=dt.timezone.utc)
DAYS = (-40, -1, 3, 12, 25, 60, 90, 150, 190, 300)
HOSTILE = "</script><img src=http://127.0.0.1:9/x onerror=alert(1)>\u202e\x1b[31m&amp;\u2028'\""
"""What a stranger may call himself: the end of a script, an element, a right-to-left override, an ANSI sequence."""


def made_audit(number: int, machine: str = "server01.corp.test", *, seed: int = 1) -> Audit:
    """An audit with this many bindings, always the same: every third by address, a tenth of them expired twice."""
    draw = random.Random(seed)
    reservations = (
        AuditReservation(url=UrlPrefix("https://+:443/mls/"), sddl="D:(A;;GX;;;NS)", who="NETWORK SERVICE may listen"),
        AuditReservation(
            url=UrlPrefix("https://+:8443/x/"),
            sddl="D:(A;;GX;;;WD)",
            who="Everyone may listen",
            findings=(machine_finding("reservation-for-anybody", "https://+:8443/x/", "Everyone may listen"),),
        ),
    )
    rows = tuple(_row(index, draw) for index in range(number))
    return Audit(machine=machine, at=AT, rows=rows, reservations=reservations)


def hostile_audit() -> Audit:
    """An audit all of whose texts a stranger chose."""
    finding = Finding(
        code="expired",
        severity=Severity.ERROR,
        where=HOSTILE,
        found=HOSTILE,
        expected=HOSTILE,
        remedy=HOSTILE,
        standard=HOSTILE,
        refused_by=(HOSTILE,),
    )
    row = AuditRow(
        key=IpPort("0.0.0.0", 443),
        app_id=uuid.UUID(int=1),
        owner=HOSTILE,
        thumbprint=Thumbprint("00" * 20),
        store=HOSTILE,
        names=(HOSTILE,),
        issuer=HOSTILE,
        not_after=AT,
        days_left=0.0,
        renew_from=AT,
        key_type=HOSTILE,
        private_key=HOSTILE,
        key_access=(HOSTILE,),
        findings=(finding,),
    )
    reserved = AuditReservation(url=UrlPrefix("http://+:80/"), sddl=HOSTILE, who=HOSTILE, findings=(finding,))
    return Audit(machine=HOSTILE, at=AT, rows=(row,), notes=(HOSTILE,), reservations=(reserved,))


def _row(index: int, draw: random.Random) -> AuditRow:
    days = draw.choice(DAYS) + round(draw.random(), 1)
    name = f"host{index:05}.{draw.choice(['shop', 'mail', 'intranet', 'api'])}.corp.example.com"
    address = f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"
    key: BindingKey = HostnamePort(name, 443) if index % 3 else IpPort(address, 443)
    not_after = AT + dt.timedelta(days=days)
    return AuditRow(
        key=key,
        app_id=uuid.UUID(int=draw.getrandbits(128)),
        owner="IIS" if index % 2 else "{0fd7c6a0-8e5e-4f4f-9f7c-3f1e8b3a2c11}",
        thumbprint=Thumbprint(f"{draw.getrandbits(160):040x}"),
        store="MY",
        names=(name, f"www.{name}"),
        issuer="CN=Corp Issuing CA 3,O=Corp,C=DE",
        not_after=not_after,
        days_left=round(days, 2),
        renew_from=not_after - dt.timedelta(days=30),
        key_type="rsa-2048" if index % 2 else "ec-p256",
        private_key="usable" if index % 11 else "missing",
        key_access=("NT SERVICE\\MLS: read",) if index % 5 == 0 else (),
        findings=_findings(index, str(key), days),
    )


def _findings(index: int, where: str, days: float) -> tuple[Finding, ...]:
    found = []
    if days < 0:
        found.append(
            Finding(
                code="expired",
                severity=Severity.ERROR,
                where="leaf: validity",
                found=f"it ended {-days:.1f} days ago",
                expected="a moment within the validity",
                remedy="renew it: ca.renew(...), or renew_due(ca)",
                standard="RFC 5280, 4.1.2.5",
                refused_by=("chrome", "dotnet"),
            )
        )
    elif days < 15:
        found.append(machine_finding("renewal-due", where, f"{int(days)} days are left"))
    if index % 7 == 0:
        found.append(machine_finding("binding-shadowed", where, f"0.0.0.0:443 is hidden by {where}"))
    return tuple(sorted(found, key=lambda one: one.severity.rank))
