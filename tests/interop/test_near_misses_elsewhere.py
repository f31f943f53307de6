"""The near misses that Hypothesis draws are refused by OpenSSL and GnuTLS too, but for those known to be taken."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings

from mlsssl import strategies
from programs import output, run
from wrong_validators import TAKEN_BY

if TYPE_CHECKING:
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

    from mlsssl.strategies import Chain

# Both are asked about this moment: certtool knows no other.
NOW = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)


def _simplest(chains: SearchStrategy[Chain]) -> Chain:
    """The first that is drawn."""
    drawn: list[Chain] = []

    @settings(max_examples=1, database=None, deadline=None, phases=[Phase.generate])
    @given(chains)
    def keep(chain: Chain) -> None:
        drawn.append(chain)

    keep()
    return drawn[0]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _openssl(chain: Chain, folder: Path) -> tuple[bool, str]:
    lists: list[str | Path] = []
    for number, crl in enumerate(chain.crls):
        (folder / f"{number}.crl").write_bytes(crl.to_pem())
        lists += ["-CRLfile", folder / f"{number}.crl"]
    result = run(
        "openssl", "verify", "-purpose", "sslserver", "-CAfile", folder / "root.crt", "-untrusted",
        folder / "chain.crt", "-verify_ip" if _is_address(chain.host) else "-verify_hostname", chain.host,
        *lists, *(["-crl_check_all"] if lists else []), folder / "leaf.crt",
    )  # fmt: skip
    return result.returncode == 0, output(result)


def _gnutls(chain: Chain, folder: Path) -> tuple[bool, str]:
    (folder / "lists.crl").write_bytes(b"".join(crl.to_pem() for crl in chain.crls))
    lists: list[str | Path] = ["--load-crl", folder / "lists.crl"] if chain.crls else []
    result = run(
        "certtool", "--verify", "--verify-profile", "medium", "--verify-hostname", chain.host, "--verify-purpose",
        "1.3.6.1.5.5.7.3.1", "--load-ca-certificate", folder / "root.crt", "--infile", folder / "full.crt",
        *lists,
    )  # fmt: skip
    return result.returncode == 0, output(result)


_PROGRAMS = {"OpenSSL": _openssl, "GnuTLS": _gnutls}


def _ask(program: str, chain: Chain, folder: Path) -> tuple[bool, str]:
    others = [one for one in chain.certificate.chain if one != chain.root]
    (folder / "root.crt").write_bytes(chain.root.to_pem())
    (folder / "leaf.crt").write_bytes(chain.certificate.to_pem())
    (folder / "chain.crt").write_bytes(b"".join(one.to_pem() for one in chain.certificate.chain))
    (folder / "full.crt").write_bytes(b"".join(one.to_pem() for one in (chain.certificate, *others)))
    return _PROGRAMS[program](chain, folder)


@pytest.mark.parametrize("program", _PROGRAMS)
@pytest.mark.parametrize("kind", ["dns", "ipv4"])
def test_what_is_right_is_taken(program: str, kind: strategies.NameKind, tmp_path: Path) -> None:
    """The failing twin of all others: a refusal below is one for the near miss."""
    chain = _simplest(strategies.chains(names=strategies.names(kinds=[kind]), at=NOW))
    accepted, said = _ask(program, chain, tmp_path)
    assert accepted, said


@pytest.mark.parametrize("program", _PROGRAMS)
@pytest.mark.parametrize("near_miss", strategies.NEAR_MISSES)
def test_a_near_miss_is_refused(near_miss: str, program: str, tmp_path: Path) -> None:
    """By both, but for what `TAKEN_BY` says: another opinion than ours stands there and in the documentation."""
    # What begins a second after the moment that is judged for has begun when they are asked.
    at = NOW + dt.timedelta(hours=1) if near_miss.endswith("not-yet-valid") else NOW
    chain = _simplest(strategies.faulty_chains(near_misses=[near_miss], at=at))
    accepted, said = _ask(program, chain, tmp_path)
    assert accepted == (near_miss in TAKEN_BY[program]), said
