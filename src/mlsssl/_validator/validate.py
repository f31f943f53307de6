"""Will this certificate work, for these clients, on this server, and if not, why and what to do: the whole check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, get_args

from cryptography import x509

from mlsssl._formats.hosts import parse_host
from mlsssl._formats.parsed import View, issuer_view
from mlsssl._formats.pem import crl_of
from mlsssl._messages.arguments import check_callable, check_mapping, check_type, check_whole, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl._validator.catalogue import RULES
from mlsssl._validator.clients import BESIDES_CLIENTS
from mlsssl._validator.every_certificate import check_key_identifiers, check_signature_algorithm
from mlsssl._validator.findings import Emitter, machine_finding, role_in_words
from mlsssl._validator.leaf import Names, check_host, check_leaf
from mlsssl._validator.path import (
    PathResult,
    PathSearch,
    SignatureProblem,
    TrustAnchors,
    link_issuers,
)
from mlsssl._validator.profiles import find_profile
from mlsssl._validator.report import Finding, PathStep, Report, Severity, Silenced
from mlsssl._validator.revocation import check_pointers, check_revocation
from mlsssl._validator.rules import check_code
from mlsssl._validator.served import Served, check_served
from mlsssl.errors import InvalidInputError
from mlsssl.values import Strictness, in_utc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from mlsssl._formats.pkcs12.explain import PfxExplanation
    from mlsssl._validator.profiles import Profile
    from mlsssl.values import ClientName


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What is known about the place where the certificate is to work; None where nothing is.

    Attributes:
        key_persisted: Whether Windows keeps the private key in a container.
        key_of_machine: Whether that container belongs to the machine and not to one user.
        from_pfx: Whether certificate and key came as a .pfx.
        pfx: What `explain_pfx` says about that .pfx.
        readable_by: Who will import it: a name that `Certificate.save(..., readable_by=...)` takes, such as
            `"windows-server-2016"`.
    """

    key_persisted: bool | None = None
    key_of_machine: bool | None = None
    from_pfx: bool | None = None
    pfx: PfxExplanation | None = None
    readable_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleContext:
    """What a rule of the user's own sees.

    Attributes:
        certificate: The leaf; for one that `cryptography` refuses what stands in for it here, with the same names for
            its subject, issuer, serial number, dates, extensions, key, signature and bytes.
        path: The certificates from the leaf to the trust anchor, as far as they were found.
        host: The name asked about, or None.
        at: The moment asked about.
        profile: The profile that judges.
    """

    certificate: x509.Certificate
    path: tuple[x509.Certificate, ...]
    host: str | None
    at: datetime
    profile: Profile


_STRICTNESSES = get_args(Strictness)
_rank_of = attrgetter("severity.rank")

UserRule = Callable[[RuleContext], Iterable[Finding]]
"""A rule of the user's own: takes a `RuleContext`, yields findings with codes of its own."""


class Question(NamedTuple):
    """What is asked of one certificate or of ten thousand; `question` makes it, and has checked the arguments."""

    at: datetime
    profile: Profile
    anchors: TrustAnchors | None
    crls: tuple[x509.CertificateRevocationList, ...]
    hard: bool
    silence: Mapping[str, str]
    extra_rules: tuple[UserRule, ...]
    max_depth: int
    asks_revocation: bool
    between_issuers: SignatureProblem | None = None

    def report(
        self,
        leaf: x509.Certificate,
        *,
        der: bytes | None = None,
        view: View | None = None,
        host: str | None = None,
        intermediates: Sequence[x509.Certificate] = (),
        private_key: PrivateKeyTypes | None = None,
        expect_key: bool = True,
        facts: ServerFacts | None = None,
        served: Served | None = None,
    ) -> Report:
        """The answer for one of them; arguments as in `validate`."""
        at, judge, silence = self.at, self.profile, self.silence
        if facts is not None:
            check_type(facts, ServerFacts, "facts are ServerFacts")
        if host is not None and judge.purpose == "client":
            raise InvalidInputError("a client's certificate is not checked for a host; leave the host out")
        wanted = parse_host(host) if host is not None else None

        view = View(leaf, der) if view is None else view
        emit = Emitter(judge, view, "leaf")
        names = Names(view)
        if wanted is not None:
            check_host(names, wanted, emit)
        _check_private_key(view, private_key, emit, expected=expect_key)
        if facts is not None:
            _check_facts(facts, emit)
        check_leaf(view, names, emit, at, wanted)
        pool = list(map(issuer_view, intermediates))
        if self.anchors is None:
            emit("trust-not-asked", "trust", "no trusted root given")
            found = PathResult(path=(view,), trusted=False)
        else:
            found = PathSearch(
                view,
                anchors=self.anchors,
                pool=pool,
                at=at,
                profile=judge,
                max_depth=self.max_depth,
                between_issuers=self.between_issuers,
            ).run()
        if len(found.path) == 1:
            check_key_identifiers(view, emit, issuer=view if view.self_issued else None, anchor=found.trusted)
        if not (len(found.path) == 1 and found.trusted):
            check_signature_algorithm(view, emit)
        if served is not None:
            check_served(view, served, emit, complete=found.trusted)
        findings = [*emit.findings, *found.findings]
        if self.asks_revocation:
            if self.anchors is None:
                found = replace(found, path=link_issuers(view, pool, max_depth=self.max_depth))
            findings += _revocation_findings(found, self.crls, at, judge, hard=self.hard)
        if self.extra_rules:
            path = tuple(step.certificate for step in found.path)
            context = RuleContext(certificate=leaf, path=path, host=host, at=at, profile=judge)
            for rule in self.extra_rules:
                findings += _run_user_rule(rule, context, emit)
        silenced: tuple[Silenced, ...] = ()
        kept = list(dict.fromkeys(findings))
        if silence:
            silenced = tuple(Silenced(finding=f, reason=silence[f.code]) for f in findings if f.code in silence)
            kept = [f for f in kept if f.code not in silence]
        return Report(
            findings=tuple(sorted(kept, key=_rank_of)),
            profile=judge.name,
            host=host,
            at=at,
            subject=view.subject_text if view.subject != b"\x30\x00" else str(names),
            path=_steps(found),
            trusted=found.trusted,
            attempts=found.attempts,
            silenced=silenced,
            client=judge.client,
            not_known=() if judge.client is None else _not_known(kept, judge.client),
        )


def question(
    *,
    at: datetime,
    trust: Sequence[x509.Certificate] | TrustAnchors | None = None,
    profile: str | Profile = "private",
    client: ClientName | None = None,
    crls: Iterable[object] = (),
    revocation: Strictness = "soft",
    silence: Mapping[str, str] | None = None,
    extra_rules: Sequence[UserRule] = (),
    max_depth: int = 8,
) -> Question:
    """What is the same for all certificates that are checked alike; arguments as in `validate`."""
    at = in_utc(at)
    check_max_depth(max_depth)
    check_strictness(revocation)
    judge = find_profile(profile, client)
    lists = () if crls == () else check_crls(crls)
    own_rules = () if extra_rules == () else check_extra_rules(extra_rules)
    silence = {} if silence is None else check_silence(silence)
    if silence:
        _check_codes(silence, own_codes=bool(own_rules))
    return Question(
        at=at,
        profile=judge,
        anchors=trust if trust is None or isinstance(trust, TrustAnchors) else TrustAnchors(trust),
        crls=lists,
        hard=revocation == "hard",
        silence=silence,
        extra_rules=own_rules,
        max_depth=max_depth,
        asks_revocation=bool(lists) or revocation == "hard" or judge.has(RULES["revocation-pointer-missing"]),
    )


def validate(
    leaf: x509.Certificate,
    *,
    der: bytes | None = None,
    view: View | None = None,
    host: str | None = None,
    at: datetime,
    trust: Sequence[x509.Certificate] | TrustAnchors | None = None,
    intermediates: Sequence[x509.Certificate] = (),
    private_key: PrivateKeyTypes | None = None,
    expect_key: bool = True,
    profile: str | Profile = "private",
    client: ClientName | None = None,
    crls: Iterable[object] = (),
    revocation: Strictness = "soft",
    facts: ServerFacts | None = None,
    served: Served | None = None,
    silence: Mapping[str, str] | None = None,
    extra_rules: Sequence[UserRule] = (),
    max_depth: int = 8,
) -> Report:
    """Check a server's certificate and report every finding: `Certificate.check`, for certificates and keys as such.

    `der` is what the leaf was read from, and `view` the leaf taken apart, where these are at hand. `trust` is what
    clients trust, None leaves the question out; `intermediates` may be in any order; `served` is what a live server was
    seen to send.

    Not checked: revocation beyond the lists given, certificate transparency logs, published keys such as Debian's weak
    ones without badkeys and its list, and what a client refuses for reasons that no finding has a code for. Work is
    bounded: hostile chains end with the finding `work-limit-exceeded`. Standards: RFC 5280, RFC 9525, and those that
    each finding names.
    """
    asked = question(
        at=at,
        trust=trust,
        profile=profile,
        client=client,
        crls=crls,
        revocation=revocation,
        silence=silence,
        extra_rules=extra_rules,
        max_depth=max_depth,
    )
    return asked.report(
        leaf,
        der=der,
        view=view,
        host=host,
        intermediates=intermediates,
        private_key=private_key,
        expect_key=expect_key,
        facts=facts,
        served=served,
    )


def report_on_unreadable(why: str, *, host: str | None, at: datetime | None, profile: str | Profile | None) -> Report:
    """The report on a certificate, or a chain with one, of which a field cannot be read: that is its one finding."""
    return Report(
        findings=(machine_finding("certificate-unreadable", "certificate", why),),
        profile=find_profile(profile or "private").name,
        host=host,
        at=in_utc(at),
        subject="a certificate that cannot be read",
    )


def _not_known(findings: Iterable[Finding], client: str) -> tuple[str, ...]:
    """Codes of findings of which it is not known whether this client refuses the certificate for them."""
    asked = (f for f in findings if f.code in RULES and f.code not in BESIDES_CLIENTS)
    return tuple(dict.fromkeys(f.code for f in asked if client not in (*f.refused_by, *f.taken_by)))


def check_crls(crls: Iterable[object]) -> tuple[x509.CertificateRevocationList, ...]:
    """The revocation lists; `InvalidInputError` for something else."""
    if crls == ():
        return ()
    expected = "crls is a list of revocation lists, each a RevocationList or one of cryptography"
    if isinstance(crl_of(crls), x509.CertificateRevocationList):  # one is itself a sequence, of what is revoked
        raise InvalidInputError(f"{expected}, not one alone; put it into a list")
    return tuple(check_type(crl_of(one), x509.CertificateRevocationList, expected) for one in items_of(crls, expected))


def check_max_depth(max_depth: int) -> int:
    """How many intermediates there may be; `InvalidInputError` for something else."""
    return check_whole(max_depth, 0, 255, "max_depth is a number from 0 to 255")


def check_strictness(revocation: Strictness) -> Strictness:
    """How strict; `InvalidInputError` for something else."""
    if revocation not in _STRICTNESSES:
        raise InvalidInputError(f"revocation is 'soft' or 'hard', not {shown(revocation)}")
    return revocation


def check_extra_rules(extra_rules: Iterable[UserRule]) -> tuple[UserRule, ...]:
    """The caller's rules; `InvalidInputError` for something else."""
    if extra_rules == ():
        return ()
    expected = "extra_rules is a list of functions of a RuleContext"
    rules = tuple(items_of(extra_rules, expected))
    for rule in rules:
        check_callable(rule, expected)
    return rules


def check_silence(silence: Mapping[str, str] | None) -> dict[str, str]:
    """What to silence; `InvalidInputError` for something else. The codes and reasons are not looked at."""
    expected = "silence is a mapping of finding codes to reasons, such as {'expired': 'a museum piece'}"
    return {} if silence is None else check_mapping(silence, expected)


def _check_codes(silence: Mapping[str, str], *, own_codes: bool) -> None:
    for code, reason in silence.items():
        check_code(code)
        if code not in RULES and not own_codes:
            raise InvalidInputError(f"there is no finding code {shown(code)} to silence")
        if not isinstance(reason, str) or not reason.strip():
            raise InvalidInputError(f"silencing {shown(code)} needs a reason, such as 'the clients are all ours'")


def _check_private_key(view: View, key: PrivateKeyTypes | None, emit: Emitter, *, expected: bool) -> None:
    if key is None:
        if expected:
            emit("key-missing", "private key", "no private key")
        return
    try:
        public = view.public_key
        matches = public is not None and key.public_key() == public
    except Exception as error:  # noqa: BLE001 - a key of a kind without public half, or one that is broken
        emit("key-mismatch", "private key", f"a private key that cannot be compared: {error}")
        return
    if not matches:
        emit("key-mismatch", "private key", "the key of another certificate")


def _check_facts(facts: ServerFacts, emit: Emitter) -> None:
    if facts.key_persisted is False:
        emit("key-not-persisted", "private key", "a key that lives only in memory")
    if facts.key_of_machine is False:
        emit("key-not-machine", "private key", "a key in a container of one user")
    if facts.from_pfx is False:
        emit("not-a-pfx", "file", "a file that is no .pfx")
    if facts.pfx is None or facts.readable_by is None:
        return
    wanted = facts.readable_by.strip().lower()
    facts.pfx.readable_by(wanted)  # which refuses a name that there is not
    for reader in facts.pfx.readers:
        if reader.name == wanted and reader.reads is False:
            remedy = f'save it for that release: cert.save("server.pfx", password=..., readable_by="{wanted}")'
            emit("pfx-unreadable", "file", f"{reader.title}: {reader.reason}", remedy=remedy)


def _revocation_findings(
    found: PathResult,
    crls: Sequence[x509.CertificateRevocationList],
    at: datetime,
    judge: Profile,
    *,
    hard: bool,
) -> list[Finding]:
    emitters: list[Emitter] = []

    def emitter(view: View) -> Emitter:
        emitters.append(Emitter(judge, view, "leaf" if view is found.path[0] else "intermediate"))
        return emitters[-1]

    check_pointers(found.path, emitter, trusted=found.trusted)
    pointers = [finding for one in emitters for finding in one.findings]
    emitters.clear()
    if crls or hard:
        check_revocation(found.path, crls, at, emitter, trusted=found.trusted)
    looked_up = [finding for one in emitters for finding in one.findings]
    if hard:
        looked_up = [replace(f, severity=Severity.ERROR) if f.severity is Severity.WARNING else f for f in looked_up]
    return [*pointers, *looked_up]


def _run_user_rule(rule: UserRule, context: RuleContext, emit: Emitter) -> list[Finding]:
    """What a rule of the caller's yields; an exception in it is a finding, so that the rest of the report stays."""
    name = getattr(rule, "__name__", type(rule).__name__)
    before = len(emit.findings)
    try:
        return [_check_own(finding) for finding in rule(context)]
    except Exception as error:  # noqa: BLE001 - whatever the caller's rule raises
        emit("user-rule-failed", f"rule {name}", f"{type(error).__name__}: {error}")
        return emit.findings[before:]


def _check_own(finding: object) -> Finding:
    """A finding of a caller's rule, fit for a report; TypeError and ValueError say why it is not."""
    if not isinstance(finding, Finding):
        raise TypeError(f"it yielded {type(finding).__name__} instead of Finding")
    check_code(finding.code)
    if finding.code in RULES:
        raise ValueError(f"the code {finding.code!r} is taken")
    for field in fields(finding):
        value = getattr(finding, field.name)
        if field.name in ("refused_by", "taken_by"):
            if not isinstance(value, tuple) or not all(isinstance(one, str) for one in value):
                raise TypeError(f"{field.name} is a tuple of clients' names")
        elif not isinstance(value, str):
            raise TypeError(f"{field.name} is text, not {type(value).__name__}")
    return replace(finding, severity=Severity(finding.severity))  # which may be its name: "error"


def _steps(found: PathResult) -> tuple[PathStep, ...]:
    steps: list[PathStep] = []
    last, role = found.path[-1], "leaf"
    for view in found.path:
        if steps:
            role = "root" if view is last and found.trusted else role_in_words(view, "intermediate")
        steps.append(PathStep(role=role, subject=view.subject_text, der=view.der))
    return tuple(steps)
