"""What Hypothesis' `from_type` draws for the public classes: values, and what a call on a machine of its own returns.

Every machine is one to throw away, so that neither drawing nor using what was drawn looks at this computer's own.
What an issuer keeps goes into a folder that is gone when the process ends.
"""

from __future__ import annotations

import functools
import sys
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.port import FakeWindowsPort
from mlsssl._formats.binding_keys import BindingFamily
from mlsssl._formats.pkcs12.explain import explain_pfx
from mlsssl._notebook.timeline import timeline
from mlsssl._strategies.bindings import binding_keys, binding_options, bindings, machines, thumbprints
from mlsssl._strategies.certificates import authorities, certificates, chains, faulty_chains, keys, names, pfx_files
from mlsssl._strategies.common import BOOLEANS, CLOCK, sampled
from mlsssl._strategies.reservations import reservations, url_prefixes
from mlsssl._testing.machines import throw_away_machine
from mlsssl._validator.profiles import PROFILES
from mlsssl._validator.validate import ServerFacts
from mlsssl.auditing import audit
from mlsssl.binding import Bindings
from mlsssl.deployment import deploy
from mlsssl.endpoint import EndpointReport
from mlsssl.issuers.acme import AcmeIssuer
from mlsssl.issuers.adcs import AdcsIssuer
from mlsssl.issuers.challenges import (
    DnsChallenge,
    HttpSysChallenge,
    SocketChallenge,
    TlsAlpnChallenge,
    WebrootChallenge,
)
from mlsssl.issuers.command import CommandIssuer
from mlsssl.machine import WindowsMachine
from mlsssl.renewal import renew, renew_due
from mlsssl.request import CertificateRequest
from mlsssl.reservation import IpListenList, UrlReservations
from mlsssl.superseded import cleanup

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn, SearchStrategy

    from mlsssl._deploy.apply import Outcome
    from mlsssl._strategies.chain import Chain
    from mlsssl._validator.report import Report
    from mlsssl._validator.validate import RuleContext
    from mlsssl.authority import CertificateAuthority
    from mlsssl.binding import Binding
    from mlsssl.machine import EmbeddedMachine
    from mlsssl.reservation import UrlReservation
    from mlsssl.revocation_list import RevocationList
    from mlsssl.service import Service

_KEY = "0.0.0.0:443"
_PORTS = st.integers(1, 65535)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="mlsssl-", ignore_cleanup_errors=True)


def _kept() -> Path:
    return Path(_folder().name)


# -- on a machine of their own ----------------------------------------------------------------------------------------


@st.composite
def _bindings(draw: DrawFn) -> Binding:
    return draw(bindings(machine=throw_away_machine()))


@st.composite
def _reservations(draw: DrawFn) -> UrlReservation:
    return draw(reservations(machine=throw_away_machine()))


@st.composite
def _filled(draw: DrawFn) -> EmbeddedMachine:
    """With a certificate in MY, a service, and a reservation."""
    machine = draw(machines(max_bindings=0))
    machine.store("MY").add(draw(certificates()))
    machine.define_service("Demo")
    machine.reservations.add(draw(reservations()).url, user="NETWORK SERVICE")
    return machine


def _windows(_: object) -> WindowsMachine:
    """Over fakes on any system: no test may draw the Windows that it runs on."""
    folder = tempfile.TemporaryDirectory(prefix="mlsssl-", ignore_cleanup_errors=True)
    machine = object.__new__(WindowsMachine)
    super(WindowsMachine, machine).__init__(FakeWindowsPort(FakeDlls(Computer()), Path(folder.name)))
    weakref.finalize(machine, folder.cleanup)
    return machine


@st.composite
def _deployed(draw: DrawFn) -> tuple[EmbeddedMachine, CertificateAuthority, Outcome]:
    machine, authority = throw_away_machine(), draw(authorities())
    certificate = draw(certificates(authorities=st.just(authority), min_days=30))
    # By force, since the profile would refuse some of what may be drawn.
    outcome = deploy(_KEY, certificate, machine=machine, at=CLOCK, force=True, verify=False)
    return machine, authority, outcome


@st.composite
def _renewed(draw: DrawFn) -> tuple[EmbeddedMachine, CertificateAuthority]:
    machine, authority, _ = draw(_deployed())
    renew(_KEY, authority, machine=machine, key_type="ec-p256", days=1, at=CLOCK, force=True, verify=False)
    return machine, authority


def _on(strategy: SearchStrategy[Any], result: Callable[..., Any]) -> SearchStrategy[Any]:
    """What a call returns for what was drawn; a tuple is its arguments."""
    return strategy.map(lambda drawn: result(*drawn) if isinstance(drawn, tuple) else result(drawn))


def _due(machine: EmbeddedMachine, authority: CertificateAuthority) -> Any:
    return renew_due(authority, machine=machine, due_only=False, dry_run=True, force=True, at=CLOCK)


def _service(machine: EmbeddedMachine) -> Service:
    return machine.services["Demo"]


# -- by themselves ----------------------------------------------------------------------------------------------------


@st.composite
def _requests(draw: DrawFn) -> CertificateRequest:
    return CertificateRequest.create(draw(names()), key=draw(keys()))


@st.composite
def _lists(draw: DrawFn) -> RevocationList:
    serials = draw(st.lists(st.integers(1, (1 << 159) - 1), min_size=1, max_size=3, unique=True))
    return draw(authorities()).crl(serials, at=CLOCK)


def _report(chain: Chain) -> Report:
    return chain.check()


def _context(chain: Chain) -> RuleContext:
    """What a rule of the user's own is shown of this chain."""
    seen: list[RuleContext] = []

    def keep(context: RuleContext) -> tuple[()]:
        seen.append(context)
        return ()

    chain.certificate.check(chain.host, trust=[chain.root], at=chain.at, extra_rules=[keep])
    return seen[0]


def _endpoint(chain: Chain, port: int, protocol: str) -> EndpointReport:
    return EndpointReport(
        endpoint=f"{chain.host}:{port}" if ":" not in chain.host else f"[{chain.host}]:{port}",
        address="127.0.0.1",
        server_name=chain.host,
        protocol=protocol,
        cipher="TLS_AES_256_GCM_SHA384" if protocol == "TLSv1.3" else "ECDHE-ECDSA-AES256-GCM-SHA384",
        certificate=chain.certificate,
        report=chain.check(),
    )


def _acme(path: str) -> AcmeIssuer:
    return AcmeIssuer(f"https://acme.test/{path}", state=_kept())


_REFUSING = (sys.executable, "-c", "raise SystemExit(1)")
_MAYBE = st.none() | BOOLEANS
_READERS = (None, "windows-server-2016", "openssl-3")
_CHECKED = st.one_of(chains(), faulty_chains())

NOUNS: dict[str, Callable[[], SearchStrategy[Any]]] = {
    "AcmeIssuer": lambda: st.sampled_from(("directory", "acme/acme/directory")).map(_acme),
    "AdcsIssuer": lambda: certificates().map(
        lambda one: AdcsIssuer("ca.test\\Test CA", issued_by=one.chain, state=_kept(), command=_REFUSING)
    ),
    "Audit": lambda: _on(_deployed(), lambda machine, *_: audit(machine=machine, at=CLOCK)),
    "AuditReservation": lambda: _on(_filled(), lambda machine: audit(machine=machine, at=CLOCK).reservations[0]),
    "AuditRow": lambda: _on(_deployed(), lambda machine, *_: audit(machine=machine, at=CLOCK).rows[0]),
    "Binding": _bindings,
    "BindingOptions": binding_options,
    "Bindings": lambda: machines().map(Bindings),
    "CcsPort": lambda: binding_keys(families=[BindingFamily.CCS]),
    "Certificate": certificates,
    "CertificateAuthority": authorities,
    "CertificateChain": lambda: certificates().map(lambda one: one.chain),
    "CertificateDiff": lambda: st.tuples(certificates(), certificates()).map(lambda both: both[0].diff(both[1])),
    "CertificateRequest": _requests,
    "ChallengeSolver": lambda: NOUNS["SocketChallenge"](),
    "Cleanup": lambda: _on(_renewed(), lambda machine, _: cleanup(machine=machine, dry_run=True, at=CLOCK)),
    "CommandIssuer": lambda: certificates().map(lambda one: CommandIssuer(_REFUSING, issued_by=one.chain)),
    "DnsChallenge": lambda: st.builds(DnsChallenge, st.just(_nothing), st.just(_nothing)),
    "EmbeddedMachine": machines,
    "EndpointReport": lambda: st.builds(_endpoint, chains(), _PORTS, sampled(("TLSv1.3", "TLSv1.2"))),
    "Finding": lambda: faulty_chains().map(lambda chain: chain.check().errors[0]),
    "HostnamePort": lambda: binding_keys(families=[BindingFamily.HOSTNAME_PORT]),
    "HttpSysChallenge": lambda: st.builds(HttpSysChallenge, _PORTS),
    "IpListenList": lambda: machines().map(lambda machine: IpListenList(machine=machine)),
    "IpPort": lambda: binding_keys(families=[BindingFamily.IP_PORT]),
    "Issuer": authorities,
    "Kept": lambda: _on(_renewed(), lambda machine, _: cleanup(machine=machine, dry_run=True, at=CLOCK).kept[0]),
    "Listener": lambda: machines().map(lambda machine: machine.listen()),
    "Machine": machines,
    "Outcome": lambda: _on(_deployed(), lambda *drawn: drawn[2]),
    "PfxExplanation": lambda: pfx_files().map(lambda pfx: explain_pfx(pfx.data, pfx.password)),
    "Plan": lambda: _on(_renewed(), lambda machine, authority: _due(machine, authority)[0].plan),
    "Profile": lambda: st.sampled_from(tuple(PROFILES.values())),
    "Renewal": lambda: _on(_renewed(), lambda machine, authority: _due(machine, authority)[0]),
    "RenewalTimes": lambda: NOUNS["AcmeIssuer"](),
    "Renewals": lambda: _on(_renewed(), _due),
    "RenewedAuthority": lambda: authorities().map(lambda authority: authority.renew(key="ec-p256", at=CLOCK)),
    "Report": lambda: _CHECKED.map(_report),
    "RevocationList": _lists,
    "RevokedEntry": lambda: _lists().map(lambda crl: crl.entries[0]),
    "RuleContext": lambda: _CHECKED.map(_context),
    "ScopedCcs": lambda: binding_keys(families=[BindingFamily.SCOPED_CCS]),
    "ServerFacts": lambda: st.builds(
        ServerFacts, key_persisted=_MAYBE, key_of_machine=_MAYBE, from_pfx=_MAYBE, readable_by=st.sampled_from(_READERS)
    ),
    "Service": lambda: _filled().map(_service),
    "Services": lambda: _filled().map(lambda machine: machine.services),
    "SettlingSolver": lambda: NOUNS["DnsChallenge"](),
    "SocketChallenge": lambda: _PORTS.map(lambda port: SocketChallenge(f"127.0.0.1:{port}")),
    "Store": lambda: machines().map(lambda machine: machine.store("MY")),
    "StoreEntry": lambda: _filled().map(lambda machine: next(iter(machine.store("MY")))),
    "Thumbprint": thumbprints,
    "Timeline": lambda: st.lists(certificates(), min_size=1, max_size=3).map(lambda some: timeline(some, at=CLOCK)),
    "TlsAlpnChallenge": lambda: machines().map(TlsAlpnChallenge),
    "UrlPrefix": url_prefixes,
    "UrlReservation": _reservations,
    "UrlReservations": lambda: machines().map(UrlReservations),
    "WebrootChallenge": lambda: st.builds(lambda: WebrootChallenge(_kept())),
    "WindowsMachine": lambda: st.builds(_windows, st.none()),
}
"""Public name to its strategy. What is not here Hypothesis makes by the annotations of its arguments."""


def _nothing(_name: str, _value: str) -> None:
    """What presents no record anywhere."""
