"""The fleet of the tests: an issuing minion, ten that serve, and what each of them is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsssl import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.harness import Fleet

ISSUER = "ca1"
SERVING = tuple(f"web{number:02}" for number in range(10))
PASSWORD = "fleet-hunter-24"
"""The authority's password: nowhere but in the pillar's file on the master and in the issuing minion's memory."""

PEERS = {"web.*": [{ISSUER: ["mlsssl_ca.sign_request"]}]}
"""What the master lets minions ask of each other."""


def prepare(fleet: Fleet) -> CertificateAuthority:
    """Make the authority, and write what each minion is given."""
    authority = CertificateAuthority.create("Fleet Root", key="ec-p256", days=300, permitted=["fleet.test"])
    authority.save(fleet.folder / "made" / "authority.pfx", password=PASSWORD)
    give(fleet, "authority.pfx", authority)
    fleet.state(
        "bound",
        {
            "bound": {
                "mlsssl.deployed": [
                    {"name": "{{ pillar['key'] }}"},
                    {"issuer": "fleet"},
                    {"host": "{{ pillar['host'] }}"},
                ]
            }
        },
    )
    return authority


def give(
    fleet: Fleet, file: str, *known: CertificateAuthority, schedules: Mapping[str, Mapping[str, object]] | None = None
) -> None:
    """The pillars, with the authority in this file, certificates of these as the issuer's, and schedules by minion."""
    policy = {
        "ca": str(fleet.folder / "made" / file),
        "ca_password": "pillar:authority_password",
        "minions": ["web*"],
        "names": ["{id}.fleet.test"],
        "days": 30,
    }
    issued_by = "".join(one.certificate.to_pem().decode() for one in known)
    issuer = {"minion": ISSUER, "policy": "web", "issued_by": issued_by, "timeout": 120}
    pillars: dict[str, dict[str, Any]] = {
        minion.name: {"key": minion.key, "host": minion.host, "mlsssl": {"issuers": {"fleet": issuer}}}
        for minion in fleet.minions.values()
        if minion.name != ISSUER
    }
    for name, schedule in (schedules or {}).items():
        pillars[name]["schedule"] = schedule
    fleet.pillar({**pillars, ISSUER: {"authority_password": PASSWORD, "mlsssl": {"policies": {"web": policy}}}})
