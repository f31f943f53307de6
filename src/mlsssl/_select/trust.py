"""What `trust=` names, and who checks a certificate by it: the operating system's chain engine or the validator."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from mlsssl._formats import pem
from mlsssl._messages.arguments import items_of
from mlsssl._messages.foreign_text import shown
from mlsssl._select import ports
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Literal, TypeAlias

    from cryptography import x509

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._formats.parsed import View
    from mlsssl._machine.ports import TrustProblem
    from mlsssl._validator.path import TrustAnchors
    from mlsssl._validator.profiles import Profile
    from mlsssl._validator.report import Report
    from mlsssl._validator.served import Served
    from mlsssl._validator.validate import ServerFacts, UserRule
    from mlsssl.revocation_list import AnyList

    TrustAnchor: TypeAlias = "HasCertificate | AsCryptography | x509.Certificate | Literal['system']"
    Roots: TypeAlias = "list[x509.Certificate | Literal['system']]"
    from mlsssl.values import ClientName


class AsCryptography(Protocol):
    """A `Certificate`."""

    def to_cryptography(self) -> x509.Certificate:
        """The certificate as `cryptography` holds it."""
        ...


class HasCertificate(Protocol):
    """What has a certificate, such as a `CertificateAuthority`."""

    @property
    def certificate(self) -> AsCryptography:
        """The certificate."""
        ...


def anchors_of(trust: Iterable[TrustAnchor] | Literal["system"] | None) -> Roots | None:
    """What `trust=` names, each kind in its one form."""
    if trust is None:
        return None
    if isinstance(trust, str):
        if trust != "system":
            raise InvalidInputError(
                f"trust is a list of authorities, 'system' or None, not {shown(trust)}; for a file: "
                "trust=[Certificate.load(...)]"
            )
        return ["system"]
    expected = "trust is a list of authorities or certificates, 'system' or None"
    if hasattr(trust, "certificate") or hasattr(trust, "to_cryptography"):
        raise InvalidInputError(f"{expected}, not {type(trust).__name__} alone; put it into a list")
    return ["system" if anchor == "system" else pem.x509_of(anchor) for anchor in items_of(trust, expected)]


def trusted_roots(
    trust: Iterable[TrustAnchor] | Literal["system"] | None, *, besides_system: Iterable[x509.Certificate] = ()
) -> list[x509.Certificate] | None:
    """What `trust=` means, as certificates; `besides_system` is trusted where the system's roots are."""
    anchors = anchors_of(trust)
    return None if anchors is None else _as_roots(anchors, besides_system)


def _as_roots(anchors: Roots, besides_system: Iterable[x509.Certificate] = ()) -> list[x509.Certificate]:
    roots: list[x509.Certificate] = []
    for anchor in anchors:
        if anchor == "system":
            roots += [*pem.readable(ports.system_roots()), *besides_system]
        else:
            roots.append(anchor)
    return roots


def read_once(trust: Iterable[TrustAnchor] | Literal["system"] | None) -> Roots | None:
    """What `trust=` means for several checks: the operating system's roots are read here, unless it judges itself.

    Where it does, "system" stays in the list, for `report_on`.
    """
    anchors = anchors_of(trust)
    if anchors is None or "system" not in anchors or ports.system_judge() is not None:
        return anchors
    return [*(trusted_roots(anchors) or ())]


def report_on(
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    host: str | None,
    *,
    der: bytes | None = None,
    view: View | None = None,
    private_key: PrivateKey | None = None,
    key_expected: bool = False,
    trust: Iterable[TrustAnchor] | Literal["system"] | TrustAnchors | None,
    at: dt.datetime,
    profile: str | Profile,
    client: ClientName | None = None,
    crls: Sequence[AnyList],
    revocation: Literal["soft", "hard"] = "soft",
    facts: ServerFacts | None = None,
    served: Served | None = None,
    silence: Mapping[str, str] | None = None,
    extra_rules: Sequence[UserRule] = (),
    max_depth: int = 8,
) -> Report:
    """`Certificate.check`, for all that check certificates.

    `der` is what the certificate was read from, and `view` the same taken apart, where these are at hand; `served` is
    what a handshake showed.
    """
    from mlsssl._validator.path import TrustAnchors
    from mlsssl._validator.validate import check_extra_rules, check_silence, validate

    indexed = trust if isinstance(trust, TrustAnchors) else None
    anchors = None if isinstance(trust, TrustAnchors) else anchors_of(trust)
    system = None if anchors is None or "system" not in anchors else ports.system_judge()
    judged_by_system = False
    intermediates = chain
    problems: tuple[TrustProblem, ...] = ()
    if system is not None:
        from mlsssl._machine.trust import NO_PATH, findings
        from mlsssl._validator.profiles import find_profile

        given = [anchor for anchor in anchors or () if anchor != "system"]
        # The roots given go along, so that Windows looks at them too; to be at hand is not to be trusted.
        others = [pem.to_der(one) for one in (*chain, *given)]
        problems = system(pem.to_der(certificate), others, host, at, find_profile(profile).purpose)
        judged_by_system = not given or all(problem.code not in NO_PATH for problem in problems)
        if not judged_by_system:
            anchors = [*given]
            problems = tuple(problem for problem in problems if problem.code not in NO_PATH)
        extra_rules = (*check_extra_rules(extra_rules), lambda _context: findings(problems))
    if judged_by_system:
        from mlsssl._machine.trust import SILENCED

        silence = {**SILENCED, **check_silence(silence)}
        if crls or revocation == "hard":  # whose signatures are checked with their issuers' keys
            intermediates = (*chain, *(trusted_roots("system") or ()))
    report = validate(
        certificate,
        der=der,
        view=view,
        host=host,
        at=at,
        trust=None if judged_by_system else indexed if anchors is None else _as_roots(anchors),
        intermediates=intermediates,
        private_key=private_key,
        expect_key=key_expected,
        profile=profile,
        client=client,
        crls=crls,
        revocation=revocation,
        facts=facts,
        served=served,
        silence=silence,
        extra_rules=extra_rules,
        max_depth=max_depth,
    )
    if system is None:
        return report
    return replace(report, trusted=(judged_by_system or report.trusted) and not problems)
