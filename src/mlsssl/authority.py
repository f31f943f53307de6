"""`CertificateAuthority`: a certificate that may issue others, with its private key."""

from __future__ import annotations

import datetime as dt
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, overload

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mlsssl._formats import pem
from mlsssl._formats.hosts import name_text, parse_name, parse_subtree
from mlsssl._formats.parsed import View, issuer_view
from mlsssl._issue import authority_renewal, certificates, lifetimes, subjects
from mlsssl._issue.keys import check_key_type, make_key, usual_key_type
from mlsssl._issue.lifetimes import ShortenedWarning
from mlsssl._messages.arguments import check_callable, check_type, check_whole, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl.certificate import Certificate, assemble, check_certificate, extension_of
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.values import KeyType, check_moment, key_holder, set_attributes

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._issue.certificates import PublicKey
    from mlsssl._issue.requests import HonouredRequest, RequestPolicy
    from mlsssl.request import CertificateRequest
    from mlsssl.revocation_list import RevocationList

__all__ = ["CertificateAuthority", "RenewedAuthority", "ShortenedWarning"]

# Ten years of 365.25 days, rounded down: what a private root usually lives.
_AUTHORITY_DAYS = 3652
# One day under the 200 days that public CAs may give until 2027-03-14 (CA/Browser Forum BR 6.3.2): as short as the
# shortest rule that anyone applies today, and far under the 825 days of Apple's rule for private roots.
SERVER_DAYS = 199

_ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


@key_holder
class CertificateAuthority:
    """A certification authority: its certificate, its private key, and the chain above it. Immutable; an `Issuer`.

    Make one with `create`, `load` or `create_intermediate`. Anyone who has it can issue certificates that its
    clients trust: keep the file with its key where only its owner reads it.

    Args:
        certificate: A CA's certificate with its private key; its chain leads to the root. A self-signed one without
            any basicConstraints is taken too: MakeCert's roots (`-r` without `-cy authority`) are such. Windows
            trusts what they sign, OpenSSL and most others do not; make a new root when you can.

    Raises:
        InvalidInputError: there is no private key, the certificate says that it is no CA, or `crl_url` is no address.
        UnsupportedError: `Certificate.to_cryptography` refuses the certificate.
    """

    __slots__ = (
        "_certificate",
        "_constraints",
        "_key",
        "_line",
        "_path_length",
        "_public",
        "_signer",
        "_usages",
        "crl_url",
    )

    _certificate: Certificate
    _constraints: tuple[x509.NameConstraints, ...]
    _key: PrivateKey
    _line: tuple[x509.Certificate, ...]
    _path_length: int | None
    _public: Certificate
    _signer: certificates.Signer
    _usages: tuple[x509.ExtendedKeyUsage, ...]
    crl_url: str | None

    def __init__(self, certificate: Certificate, *, crl_url: str | None = None) -> None:
        check_type(certificate, Certificate, "a Certificate is needed (CertificateAuthority.load reads a file)")
        key = certificate.private_key
        if key is None:
            raise InvalidInputError(
                f"an authority needs its private key, and there is none with {_told(certificate)}; the .pfx or .pem "
                "that it was saved to has it"
            )
        if not certificate.is_ca and not _is_old_root(certificate):
            raise InvalidInputError(
                f"{_told(certificate)} is no authority: its basicConstraints do not say CA (RFC 5280 section 4.2.1.9)"
            )
        if certificate.key_usages and "keyCertSign" not in certificate.key_usages:
            raise InvalidInputError(f"{certificate!r} may not issue: its keyUsage lacks keyCertSign")
        if crl_url is not None:
            certificates.distribution_point(crl_url)  # refused now, not when something is issued
        # What stands above the certificates it issues: itself, then its own chain.
        line = [certificate.to_cryptography(), *map(pem.x509_of, certificate.chain)]
        constraints = (pem.find_extension(one, x509.NameConstraints) for one in line)
        usages = (pem.find_extension(one, x509.ExtendedKeyUsage) for one in line)
        set_attributes(
            self,
            _certificate=certificate,
            _key=key,
            _signer=certificates.Signer(line[0], key),
            _constraints=tuple(one for one in constraints if one is not None),
            _usages=tuple(one for one in usages if one is not None),
            _path_length=_path_length(line),
            _line=tuple(line),
            _public=certificate.without_key(),
            crl_url=crl_url,
        )

    # -- making one ---------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        common_name: str,
        *,
        key: KeyType | PrivateKey = "rsa-3072",
        days: int = _AUTHORITY_DAYS,
        path_length: int | None = None,
        organization: str | None = None,
        organizational_unit: str | None = None,
        locality: str | None = None,
        state: str | None = None,
        country: str | None = None,
        subject: x509.Name | None = None,
        permitted: Sequence[str] = (),
        excluded: Sequence[str] = (),
        crl_url: str | None = None,
        at: dt.datetime | None = None,
        serial: int | None = None,
    ) -> CertificateAuthority:
        """Create a self-signed root.

        Args:
            common_name: Its name, 1 to 64 characters.
            key: A key type to make (`rsa-2048`, `rsa-3072`, `rsa-4096`, `ec-p256`, `ec-p384`), or a private key: RSA of
                2048 bits or more, P-256, P-384 or P-521.
            days: Validity in days of 86,400 seconds, 1 to 36,500; ten years by default.
            path_length: How many authorities may stand between it and a server certificate: 0 for none, None for
                any number (RFC 5280 section 4.2.1.9). An intermediate has its own limit, 0 by default; on a root
                none is recommended (CA/Browser Forum BR 7.1.2.1.4), and clients need not honour it there.
            organization: The name of the organization, at most 64 characters. This and the next four stand in the
                subject beside the common name (RFC 5280 section 4.1.2.6), in the order country, state, locality,
                organization, unit, common name. Who it is issued for, and no client compares them with anything.
            organizational_unit: A part of it, at most 64 characters. Public authorities must not write one any more,
                and the profile `public` says so.
            locality: The town, at most 128 characters.
            state: The state or province, written out; at most 128 characters.
            country: Two letters (ISO 3166-1), written in capitals.
            subject: Instead of these five a whole name, for other fields or another order. The common name takes the
                place of the one in it, or the last one.
            permitted: Name constraints: domains (`corp.test`, with all below) and networks (`10.0.0.0/8`) that
                it may issue for. Kinds that are not mentioned stay free. Clients need not honour constraints on a
                *root* (RFC 5280 section 6.1 starts below it); to bind every client, constrain an intermediate.
            excluded: Likewise, what it may not issue for.
            crl_url: Address of the revocation list, to be put into what it issues; the root carries none.
            at: The moment of creation, aware; now when not given. Validity starts one hour before it.
            serial: The serial number, 1 to 2**159 - 1; random when not given.

        Returns:
            The authority.

        Raises:
            InvalidInputError: an argument out of its range.
        """
        others = subjects.beside(organization, organizational_unit, locality, state, country, subject)
        name = _authority_name(common_name, others)
        private_key = make_key(key)
        not_before, not_after = certificates.validity(check_moment(at), days)
        certificate = certificates.authority_certificate(
            None,
            private_key,
            subject=name,
            not_before=not_before,
            not_after=not_after,
            serial=certificates.serial_number(serial),
            path_length=None if path_length is None else _check_path_length(path_length),
            permitted=_subtrees("permitted", permitted),
            excluded=_subtrees("excluded", excluded),
        )
        return cls(assemble(certificate, private_key, ()), crl_url=crl_url)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        password: str | None = None,
        key: str | Path | None = None,
        key_password: str | None = None,
        alias: str | None = None,
        crl_url: str | None = None,
    ) -> CertificateAuthority:
        """Read an authority from a file with certificate and key, or from two files.

        Args:
            path: PEM, DER, PFX or PKCS#7, told by content.
            password: For a PFX or an encrypted key.
            key: The private key's file (PEM, DER or PVK), when it is a file of its own:
                `load("SelfIssuedCA.cer", key="SelfIssuedCA.pvk", password=...)` carries a MakeCert root over.
            key_password: For that file; `password` when not given.
            alias: Which one, where the file has several private keys with a certificate each, as in `Certificate.load`.
            crl_url: As in `create`.

        Raises:
            InvalidInputError: the certificate is no CA's, or there is no private key.
            NotFoundError, AccessDeniedError, WrongPasswordError, MalformedDataError, UnsupportedError: as
                `Certificate.load`.
        """
        certificate = Certificate.load(path, password=password, key=key, key_password=key_password, alias=alias)
        return cls(certificate, crl_url=crl_url)

    def create_intermediate(
        self,
        common_name: str,
        *,
        key: KeyType | PrivateKey | None = None,
        days: int | None = None,
        path_length: int | None = None,
        organization: str | None = None,
        organizational_unit: str | None = None,
        locality: str | None = None,
        state: str | None = None,
        country: str | None = None,
        subject: x509.Name | None = None,
        permitted: Sequence[str] = (),
        excluded: Sequence[str] = (),
        crl_url: str | None = None,
        at: dt.datetime | None = None,
        serial: int | None = None,
    ) -> CertificateAuthority:
        """Create an authority below this one.

        Args:
            common_name: Its name, 1 to 64 characters.
            key: As in `create`; a key of this authority's type when not given, or `rsa-3072` where that type is not
                made here.
            days: Validity in days; half of ten years, or as long as this authority lives, when not given. As in
                `issue`.
            path_length: As in `create`; one less than this authority's when not given (0 under one without).
            organization: As in `create`.
            organizational_unit: As in `create`.
            locality: As in `create`.
            state: As in `create`.
            country: As in `create`.
            subject: As in `create`.
            permitted: As in `create`; must lie within what this authority may issue for.
            excluded: As in `create`.
            crl_url: Address of the new authority's own revocation list, to be put into what it issues; its own
                certificate has this authority's.
            at: As in `create`.
            serial: As in `create`.

        Raises:
            InvalidInputError: this authority's path length, dates or name constraints do not allow it; the
                message says which.
        """
        if self._path_length == 0:
            raise InvalidInputError(
                f"{self.name} has path length 0: it may issue server certificates, but no authorities"
            )
        allowed = None if self._path_length is None else self._path_length - 1
        wanted = allowed or 0 if path_length is None else _check_path_length(path_length)
        if allowed is not None and wanted > allowed:
            raise InvalidInputError(f"path_length is at most {allowed} below {self.name}, not {wanted}")
        permitted_trees = _subtrees("permitted", permitted)
        others = subjects.beside(organization, organizational_unit, locality, state, country, subject)
        name = _authority_name(common_name, others)
        self._check_subtrees(permitted_trees)
        self._refuse(self._forbidden((), name, authority=True))
        private_key = make_key(usual_key_type(self.key_type, "rsa-3072") if key is None else key)
        moment = check_moment(at)
        if days is None:
            days = max(1, min(_AUTHORITY_DAYS // 2, (self._certificate.not_after - moment).days))
        not_before, not_after = self._validity(moment, days)
        certificate = certificates.authority_certificate(
            self._signer,
            private_key,
            subject=name,
            not_before=not_before,
            not_after=not_after,
            serial=certificates.serial_number(serial),
            path_length=wanted,
            permitted=permitted_trees,
            excluded=_subtrees("excluded", excluded),
            crl_url=self.crl_url,
        )
        return CertificateAuthority(assemble(certificate, private_key, self._line), crl_url=crl_url)

    def renew(
        self,
        *,
        key: KeyType | PrivateKey | None = None,
        reuse_key: bool = False,
        days: int | None = None,
        issuer: CertificateAuthority | None = None,
        crl_url: str | None = None,
        at: dt.datetime | None = None,
    ) -> RenewedAuthority:
        """Make this authority's successor: the same name, path length and constraints, new dates, a new key.

        A root with a new key is another root to clients, and they have to get it before the old one ends. Until all
        have it two cross-certificates lead from either root to what the other has issued (RFC 4210 section 4.4); how
        a fleet goes through that without a day on which a client refuses is in the documentation
        (docs/howto-root-change). With `reuse_key` the old root's certificates and the new one's are each accepted by
        clients that have either, without cross-certificates, as long as theirs is valid; but a key that is stolen is
        stolen for the successor too.

        An intermediate's successor needs no cross-certificates: clients trust the root above it. It is certified by
        the authority above it, or by that one's successor.

        Args:
            key: The new key: a key type to make, or a private key; one of this authority's type when not given, or
                `rsa-3072` where that type is not made any more.
            reuse_key: Certify the old key again instead.
            days: Validity in days; as long as this one's when not given, and for an intermediate no longer than its
                issuer's.
            issuer: For an intermediate: the authority above it. A root has none.
            crl_url: Address of the successor's own revocation list. The old one's list says nothing about what a new
                key signs, so it is not taken over; with `reuse_key` it is, when not given.
            at: The moment of creation, aware; now when not given. Validity starts one hour before it.

        Returns:
            The successor, and for a root with a new key the cross-certificates.

        Raises:
            InvalidInputError: an argument out of its range; the key both given and reused; no issuer for an
                intermediate, or one whose path length or constraints do not allow it; this authority is over, so that
                no client accepts a cross-certificate of it.
            MalformedDataError: an extension of its certificate cannot be read.
        """
        old = self._line[0]
        if reuse_key and key is not None:
            raise InvalidInputError("reuse_key keeps the key, so key cannot be another")
        if issuer is not None:
            check_type(issuer, CertificateAuthority, "issuer is the authority above this one")
        moment = check_moment(at)
        if days is None:
            lifetime = self._certificate.not_after - self._certificate.not_before
            days = max(1, min(36_500, round(lifetime / dt.timedelta(days=1))))
        root = pem.is_root(old)
        if not root and issuer is None:
            raise InvalidInputError(
                f"{self.name} is an intermediate: give the authority above it, {self._certificate.issuer}, as issuer"
            )
        if root and issuer is not None:
            raise InvalidInputError(f"{self.name} is a root, which nothing stands above: leave issuer out")
        if reuse_key:
            new_key, crl_url = self._key, self.crl_url if crl_url is None else crl_url
        else:
            new_key = make_key(usual_key_type(self.key_type, "rsa-3072") if key is None else key)
        if issuer is not None:
            return issuer._certify_again(self, new_key, days, moment, crl_url)  # noqa: SLF001
        not_before, not_after = certificates.validity(moment, days)
        new_signer = authority_renewal.self_signer(old, new_key)
        certificate = authority_renewal.with_limits_of(
            old, new_signer, new_key.public_key(), not_before=not_before, not_after=not_after
        )
        successor = CertificateAuthority(assemble(certificate, new_key, ()), crl_url=crl_url)
        if new_key.public_key() == self._key.public_key():
            return RenewedAuthority(authority=successor)
        # As RFC 4210 section 4.4 dates them; neither is worth anything once the old key's time is over.
        begins, ends = self._validity(moment, 1)[0], min(self._certificate.not_after, not_after)
        new_with_old = authority_renewal.with_limits_of(
            old, self._signer, new_key.public_key(), not_before=begins, not_after=ends, crl_url=self.crl_url
        )
        old_with_new = authority_renewal.with_limits_of(
            old, new_signer, self._signer.key.public_key(), not_before=self._certificate.not_before, not_after=ends
        )
        return RenewedAuthority(
            authority=successor,
            bridge=CertificateAuthority(assemble(new_with_old, new_key, self._line), crl_url=crl_url),
            new_with_old=assemble(new_with_old, None, ()),
            old_with_new=assemble(old_with_new, None, ()),
        )

    def _certify_again(
        self, old: CertificateAuthority, key: PrivateKey, days: int, at: dt.datetime, crl_url: str | None
    ) -> RenewedAuthority:
        """The successor of the intermediate `old`, below this authority."""
        if self._path_length == 0:
            raise InvalidInputError(
                f"{self.name} has path length 0: it may issue server certificates, but no authorities"
            )
        certificate = old._line[0]
        constraints = pem.find_extension(certificate, x509.NameConstraints)
        self._check_subtrees([] if constraints is None else constraints.permitted_subtrees or [])
        self._refuse(self._forbidden((), certificate.subject, authority=True))
        with lifetimes.noted():  # "as long as the old one, but no longer than its issuer" is what was asked for
            not_before, not_after = self._validity(at, days)
        made = authority_renewal.with_limits_of(
            certificate,
            self._signer,
            key.public_key(),
            not_before=not_before,
            not_after=not_after,
            crl_url=self.crl_url,
        )
        return RenewedAuthority(authority=CertificateAuthority(assemble(made, key, self._line), crl_url=crl_url))

    def _check_subtrees(self, wanted: Sequence[x509.GeneralName]) -> None:
        from mlsssl._validator.name_constraints import subtree_within

        for constraint in self._constraints:
            for tree in wanted:
                verdicts = [subtree_within(tree, above) for above in constraint.permitted_subtrees or ()]
                same_kind = [verdict for verdict in verdicts if verdict is not None]
                if same_kind and not any(same_kind):
                    raise InvalidInputError(
                        f"{name_text(tree)} lies outside what {self.name} may issue for; "
                        "choose a part of its permitted names"
                    )

    def _forbidden(
        self, san: Sequence[x509.GeneralName], subject: x509.Name, *, authority: bool = False
    ) -> tuple[str, str] | None:
        """The code and the reason of what `check` would find against these names below this authority, or None.

        An `authority`'s common name is nobody's host.
        """
        if not self._constraints:
            return None
        from mlsssl._validator.name_constraints import Budget, BudgetExceededError, find_forbidden, names_by_kind

        common = [str(attribute.value) for attribute in subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        wanted, budget = names_by_kind(san, subject), Budget()
        for constraint in self._constraints:
            try:
                forbidden = find_forbidden(wanted, constraint, budget, common_names=() if authority else common)
            except BudgetExceededError as error:
                return "work-limit-exceeded", str(error)
            if forbidden is not None:
                return forbidden
        return None

    def _constrains_dns(self) -> bool:
        """Whether one of its name constraints is about DNS names."""
        trees = ([*(one.permitted_subtrees or ()), *(one.excluded_subtrees or ())] for one in self._constraints)
        return any(isinstance(tree, x509.DNSName) for kinds in trees for tree in kinds)

    def _refuse(self, forbidden: tuple[str, str] | None) -> None:
        if forbidden is not None:
            raise InvalidInputError(f"{self.name} may not issue this: {forbidden[1]} (its name constraints)")

    def _check_usage(self, *, client: bool) -> None:
        """Refuse to issue for a purpose that this authority or one above it is not for: `check` finds `issuer-eku`."""
        (needed,) = certificates.CLIENT_AUTH if client else certificates.SERVER_AUTH
        if any(needed not in usages and _ANY_USAGE not in usages for usages in self._usages):
            kind, name = ("client", "clientAuth") if client else ("server", "serverAuth")
            raise InvalidInputError(
                f"{self.name} may not issue {kind} certificates: the extendedKeyUsage of its certificate, or of one "
                f"above it, lacks {name}, and clients hold what it issues to that (RFC 5280 section 4.2.1.12)"
            )

    # -- issuing ------------------------------------------------------------------------------------------------

    def with_crl_url(self, crl_url: str | None) -> CertificateAuthority:
        """The same authority with another address of its revocation list, `crl_url`, or none, in what it issues."""
        return CertificateAuthority(self._certificate, crl_url=crl_url)

    @overload
    def issue(self, request: CertificateRequest, /, *, old: Certificate | None = None) -> Certificate: ...

    @overload
    def issue(
        self,
        *hosts: str,
        key: KeyType | PrivateKey | None = None,
        days: int = SERVER_DAYS,
        common_name: str | None = None,
        organization: str | None = None,
        organizational_unit: str | None = None,
        locality: str | None = None,
        state: str | None = None,
        country: str | None = None,
        subject: x509.Name | None = None,
        at: dt.datetime | None = None,
        serial: int | None = None,
    ) -> Certificate: ...

    def issue(
        self,
        *hosts: str | CertificateRequest,
        key: KeyType | PrivateKey | None = None,
        days: int = SERVER_DAYS,
        common_name: str | None = None,
        organization: str | None = None,
        organizational_unit: str | None = None,
        locality: str | None = None,
        state: str | None = None,
        country: str | None = None,
        subject: x509.Name | None = None,
        at: dt.datetime | None = None,
        serial: int | None = None,
        old: Certificate | None = None,
    ) -> Certificate:
        """Issue a TLS server certificate, or, as an `Issuer`, answer a request as a renewal does.

        It carries basicConstraints (critical, CA:FALSE), keyUsage (critical: digitalSignature, and
        keyEncipherment for RSA), extendedKeyUsage serverAuth, subjectAltName with every name (critical only when
        the subject is empty), and both key identifiers (RFC 5280 section 4.2.1).

        Args:
            *hosts: What clients connect to: DNS names, wildcards (`*.example.com`), internationalised names, IPv4
                and IPv6 addresses; at least one, repetitions dropped. Or a single `CertificateRequest`: its key and
                names are taken as by `sign` under the usual policy, and of the other arguments only `old`.
            key: A key type to make, or a private key; when not given, `rsa-2048` below an RSA authority and the
                same curve below an EC one, or `ec-p384` where keys on that curve are not made here.
            days: Validity in days of 86,400 seconds; 199 by default, which every client accepts until 2027. What would
                outlive this authority ends with it, and a `ShortenedWarning` says so.
            common_name: The subject's common name, which must be one of the names. When not given, the first
                name that fits into 64 characters, or none for addresses alone below an authority with DNS
                constraints, which OpenSSL or GnuTLS would hold against it; `""` for none.
            organization: As in `create`.
            organizational_unit: As in `create`.
            locality: As in `create`.
            state: As in `create`.
            country: As in `create`.
            subject: As in `create`.
            at: The moment of issuing, aware; now when not given. Validity starts one hour before it, but not
                before the authority's.
            serial: The serial number, 1 to 2**159 - 1; 159 random bits when not given.
            old: With a request: the certificate that is replaced, whose subject, validity and address of the
                revocation list the new one has, by the rules of `renew`; None for the first.

        Returns:
            The certificate with its private key and chain; for a request without the key, which stays where it was
            made. With `at`, `serial` and a private key given it is the same, byte for byte, every time.

        Raises:
            InvalidInputError: no name, a name that cannot be, a moment at which this authority is not valid, a name
                that its constraints forbid, an authority for other purposes by its extendedKeyUsage, or a request that
                the usual policy refuses.
        """
        if not hosts:
            raise InvalidInputError("a server certificate needs at least one name: issue('www.example.com')")
        if not isinstance(hosts[0], str):
            given = (key, common_name, organization, organizational_unit, locality, state, country, subject, at, serial)
            others = days != SERVER_DAYS or any(one is not None for one in given)
            return self._answer(hosts, old, others=others)
        if old is not None:
            raise InvalidInputError("old goes with a request: issue(request, old=old); renew renews what is bound")
        wanted: list[x509.GeneralName] = list(dict.fromkeys(parse_name(host) for host in _texts(hosts)))
        private_key = self._new_key(key)
        beside = subjects.beside(organization, organizational_unit, locality, state, country, subject)
        return self._issue(
            wanted, private_key, private_key.public_key(), days, common_name, beside, check_moment(at), serial
        )

    def _answer(
        self, requests: tuple[str | CertificateRequest, ...], old: Certificate | None, *, others: bool
    ) -> Certificate:
        """`issue` of a request: what `Issuer` promises."""
        from mlsssl.request import CertificateRequest

        request = requests[0]
        if not isinstance(request, CertificateRequest):
            hint = "; give each name as an argument of its own" if isinstance(request, (list, tuple, set)) else ""
            raise InvalidInputError(
                f"a server certificate is issued for names, which are text, or for one CertificateRequest, not for "
                f"{type(request).__name__}{hint}"
            )
        if len(requests) > 1 or others:
            raise InvalidInputError("issue takes a request alone, or with old=; sign(request, ...) takes more")
        if old is None:
            return self.sign(request)
        hosts = request.names
        return with_list_of(self, check_certificate(old)).sign(
            request,
            days=renewal_days(old),
            common_name=renewal_common_name(old, hosts),
            subject=pem.x509_of(old).subject,
        )

    def issued(self, certificate: Certificate) -> bool:
        """Whether its name is the issuer's in this certificate, so that `renew_due` renews it from here.

        The key is not compared: after a change of the authority's key the new one renews what the old one issued.
        `MalformedDataError` when the name cannot be read.
        """
        return pem.x509_of(check_certificate(certificate)).issuer == pem.x509_of(self._certificate).subject

    def _issue(
        self,
        wanted: list[x509.GeneralName],
        private_key: PrivateKey | None,
        public_key: PublicKey,
        days: int,
        common_name: str | None,
        others: x509.Name,
        at: dt.datetime,
        serial: int | None,
    ) -> Certificate:
        subject = _subject(common_name, wanted, others)
        if (
            common_name is None
            and not any(isinstance(name, x509.DNSName) for name in wanted)
            and self._constrains_dns()
        ):
            # Nobody asked for one, and an address in it is a DNS name to OpenSSL, and an IPv6 one to GnuTLS too.
            subject = subjects.named("", others)
        forbidden = self._forbidden(wanted, subject)
        self._refuse(forbidden)
        return self._end_entity(subject, wanted, private_key, public_key, days, at, serial)

    def _end_entity(
        self,
        subject: x509.Name,
        wanted: Sequence[x509.GeneralName],
        private_key: PrivateKey | None,
        public_key: PublicKey,
        days: int,
        at: dt.datetime,
        serial: int | None,
        *,
        client: bool = False,
    ) -> Certificate:
        self._check_usage(client=client)
        not_before, not_after = self._validity(at, days)
        certificate = certificates.end_entity_certificate(
            self._signer,
            subject=subject,
            names=wanted,
            public_key=public_key,
            not_before=not_before,
            not_after=not_after,
            serial=certificates.serial_number(serial),
            crl_url=self.crl_url,
            client=client,
        )
        return assemble(certificate, private_key, self._line)

    def issue_client(
        self,
        common_name: str,
        *,
        emails: Sequence[str] = (),
        hosts: Sequence[str] = (),
        user_principal_name: str | None = None,
        key: KeyType | PrivateKey | None = None,
        days: int = SERVER_DAYS,
        organization: str | None = None,
        organizational_unit: str | None = None,
        locality: str | None = None,
        state: str | None = None,
        country: str | None = None,
        subject: x509.Name | None = None,
        at: dt.datetime | None = None,
        serial: int | None = None,
    ) -> Certificate:
        """Issue a TLS client certificate, with which a person or a program shows a server who it is (mutual TLS).

        It carries what `issue` gives a server, but extendedKeyUsage clientAuth alone, keyUsage digitalSignature alone,
        and a subjectAltName only if there is a name for it. What a server takes the client for is the server's choice:
        most look at the common name or the whole subject, Windows and IIS at the user principal name.

        Args:
            common_name: Whom it is for, such as `"Alice Example"` or `"build-server-7"`; 1 to 64 characters.
            emails: Mail addresses, of ASCII characters before the `@`; the domain becomes A-labels.
            hosts: DNS names and IP addresses of the client's computer, as in `issue`.
            user_principal_name: The name by which Active Directory knows the account, `user@domain`; put into
                subjectAltName as Microsoft's other name 1.3.6.1.4.1.311.20.2.3. At most 1024 characters.
            key: As in `issue`.
            days: As in `issue`.
            organization: As in `create`.
            organizational_unit: As in `create`.
            locality: As in `create`.
            state: As in `create`.
            country: As in `create`.
            subject: As in `create`.
            at: As in `issue`.
            serial: As in `issue`.

        Returns:
            The certificate with its private key and chain; `check(purpose="client")` judges it.

        Raises:
            InvalidInputError: an argument out of its range, a name that cannot be, a moment at which this authority is
                not valid, a name that its constraints forbid, or an authority for other purposes by its
                extendedKeyUsage.
        """
        if not common_name:
            raise InvalidInputError("a client certificate needs a name: issue_client('Alice Example')")
        others = subjects.beside(organization, organizational_unit, locality, state, country, subject)
        name = subjects.named(common_name, others)
        wanted = subjects.client_names(emails, hosts, user_principal_name)
        self._refuse(self._forbidden(wanted, name))
        private_key = self._new_key(key)
        return self._end_entity(
            name, wanted, private_key, private_key.public_key(), days, check_moment(at), serial, client=True
        )

    def _new_key(self, key: KeyType | PrivateKey | None) -> PrivateKey:
        if key is None:
            key = "rsa-2048" if self.key_type.startswith("rsa") else usual_key_type(self.key_type, "ec-p384")
        return make_key(key)

    def sign(
        self,
        request: CertificateRequest,
        *,
        policy: RequestPolicy | None = None,
        days: int = SERVER_DAYS,
        common_name: str | None = None,
        organization: str | None = None,
        organizational_unit: str | None = None,
        locality: str | None = None,
        state: str | None = None,
        country: str | None = None,
        subject: x509.Name | None = None,
        at: dt.datetime | None = None,
        serial: int | None = None,
    ) -> Certificate:
        """Issue the server certificate that a request asks for; the rules are `issue`'s.

        Args:
            request: Its public key and host names are taken; everything else is this authority's decision.
            policy: What is refused and what is passed over; the usual one when not given.
            days: As in `issue`.
            common_name: As in `issue`.
            organization: As in `create`.
            organizational_unit: As in `create`.
            locality: As in `create`.
            state: As in `create`.
            country: As in `create`.
            subject: As in `create`.
            at: As in `issue`.
            serial: As in `issue`.

        Returns:
            The certificate without a private key, which stays where the request was made; `request.complete` or
            `certificate.with_key` joins the two.

        Raises:
            InvalidInputError: the policy refuses the request, or as `issue`.
        """
        from mlsssl._issue.requests import RequestPolicy
        from mlsssl.request import CertificateRequest

        check_type(request, CertificateRequest, "a CertificateRequest is needed (CertificateRequest.load reads one)")
        honoured = request.honoured_by(RequestPolicy() if policy is None else policy)
        others = subjects.beside(organization, organizational_unit, locality, state, country, subject)
        return self._issue(
            list(honoured.names), None, honoured.public_key, days, common_name, others, check_moment(at), serial
        )

    def crl(
        self,
        revoked: Iterable[Certificate | int | tuple[Certificate | int, dt.datetime, str | None]] = (),
        *,
        days: int = 30,
        number: int | None = None,
        at: dt.datetime | None = None,
        previous: RevocationList | x509.CertificateRevocationList | None = None,
    ) -> RevocationList:
        """A full revocation list of this authority (RFC 5280 section 5).

        Publish its DER at the `crl_url` that the authority puts into what it issues. An empty list with a long life
        makes clients quiet that insist on revocation checks (Windows' 0x80092012).

        Args:
            revoked: Certificates or serial numbers; with the aware moment of revocation and a reason (RFC 5280's
                names, such as `"keyCompromise"`, or None) in a tuple, else revoked at `at` for no stated reason.
            days: How long the list is current.
            number: The CRL number, which has to grow from list to list; the microseconds from 1970 to `at` when not
                given, and more than the number of `previous`.
            at: The moment of issuing, aware; now when not given.
            previous: The authority's list until now. Whatever it revokes stays revoked, with its moment and reason:
                a full list that leaves a certificate out makes it count as good again.

        Returns:
            The list; `.save("ca.crl")` writes what is to be published, `check(crls=[...])` takes it as it is.

        Raises:
            InvalidInputError: an argument out of its range, an unknown reason, a serial number twice, another
                authority's certificate; `previous` is another authority's, or no full list.
            MalformedDataError: `previous` has an entry that cannot be read.
        """
        from mlsssl._formats.crl import number_of
        from mlsssl._issue.revocation_lists import build_crl, entries_to_keep
        from mlsssl.revocation_list import RevocationList

        moment = check_moment(at)
        entries: list[tuple[int, dt.datetime, str | None]] = []
        expected = "revoked is a list of certificates or serial numbers, alone or as (which, moment, reason)"
        for one in items_of(revoked, expected):
            if isinstance(one, tuple) and len(one) != 3:
                raise InvalidInputError(f"{expected}, not a tuple of {len(one)}")
            what, when, reason = one if isinstance(one, tuple) else (one, moment, None)
            if isinstance(what, Certificate) and not self.issued(what):
                raise InvalidInputError(
                    f"{what!r} is not issued by {self.name}, whose list says nothing about it; the authority that "
                    "issued it revokes it"
                )
            entries.append((what.serial_number if isinstance(what, Certificate) else what, when, reason))
        issuer = self._certificate.to_cryptography()
        kept: tuple[x509.RevokedCertificate, ...] = ()
        least = 0
        if previous is not None:
            before = check_type(pem.crl_of(previous), x509.CertificateRevocationList, "previous is a revocation list")
            kept = entries_to_keep(before, issuer, besides=frozenset(serial for serial, _, _ in entries))
            least = number_of(before) + 1
        if number is None:
            number = max(least, (moment - _EPOCH) // dt.timedelta(microseconds=1))
        elif isinstance(number, int) and number < least:
            raise InvalidInputError(f"number is at least {least}, not {number}, for it grows from list to list")
        return RevocationList(build_crl(issuer, self._key, entries, at=moment, number=number, days=days, kept=kept))

    def issue_many(
        self,
        names: Iterable[str | Sequence[str]],
        *,
        workers: int | None = None,
        progress: Callable[[int], object] | None = None,
        key: KeyType | None = None,
        days: int = SERVER_DAYS,
        organization: str | None = None,
        organizational_unit: str | None = None,
        locality: str | None = None,
        state: str | None = None,
        country: str | None = None,
        subject: x509.Name | None = None,
        at: dt.datetime | None = None,
    ) -> Iterator[Certificate]:
        """Issue a certificate for each item, in order, using every core, a bounded number ahead of the caller.

        The work runs in threads: making RSA keys is nearly all of it and happens outside Python's lock, and the
        authority's key never leaves the process.

        Args:
            names: For each certificate one name, or several in a sequence; may be endless.
            workers: How many threads; the number of cores when not given.
            progress: Called in the caller's thread with the number issued so far, after each.
            key: As in `issue`; each certificate has a key of its own.
            days: As in `issue`.
            organization: As in `create`.
            organizational_unit: As in `create`.
            locality: As in `create`.
            state: As in `create`.
            country: As in `create`.
            subject: As in `create`.
            at: As in `issue`.

        Yields:
            The certificates, in the order of `names`.

        Raises:
            InvalidInputError: an argument that cannot be, at once; or as `issue`, at the item that caused it, when
                those before it have been yielded.
        """
        import contextvars
        import os
        from concurrent.futures import Future, ThreadPoolExecutor

        count = (os.cpu_count() or 1) if workers is None else workers
        check_whole(count, 1, 1024, "workers is a whole number from 1 to 1024")
        moment = check_moment(at)
        certificates.check_days(days)
        if isinstance(key, str):
            check_key_type(key)
        others = subjects.beside(organization, organizational_unit, locality, state, country, subject)
        check_callable(progress, "progress is a function of the number issued so far")
        expected = "names is a list with a name, or a list of names, for each certificate"
        wanted = items_of(names, expected)

        def one(item: str | Sequence[str]) -> Certificate:
            hosts = (item,) if isinstance(item, str) else tuple(items_of(item, expected))
            return self.issue(*hosts, key=key, days=days, subject=others, at=moment)

        def issued() -> Iterator[Certificate]:
            done = 0
            pending: deque[Future[Certificate]] = deque()
            pool = ThreadPoolExecutor(count, thread_name_prefix="mlsssl-issue")
            try:
                while True:
                    # In the caller's context: what is noted of shortened lifetimes there is noted for these too.
                    pending.extend(
                        pool.submit(contextvars.copy_context().run, one, item)
                        for item in islice(wanted, 4 * count - len(pending))
                    )
                    if not pending:
                        return
                    certificate = pending.popleft().result()
                    done += 1
                    if progress is not None:
                        progress(done)
                    yield certificate
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

        return issued()

    def _validity(self, at: dt.datetime, days: int) -> tuple[dt.datetime, dt.datetime]:
        mine = self._certificate
        return lifetimes.within(at, days, begins=mine.not_before, ends=mine.not_after, authority=self.name)

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def certificate(self) -> Certificate:
        """Its certificate, without the private key: what clients are to trust."""
        return self._public

    @property
    def name(self) -> str:
        """The common name of its certificate, or the whole subject where there is none."""
        return self._certificate.common_name or self._certificate.subject

    @property
    def key_type(self) -> str:
        """The type of its key: `rsa-3072`, `ec-p256` and so on."""
        return self._certificate.key_type

    @property
    def path_length(self) -> int | None:
        """How many authorities may stand below it, its own chain taken into account; None for any number."""
        return self._path_length

    def save(
        self,
        path: str | Path,
        *,
        password: str | None = None,
        no_password: bool = False,
        readable_by: str | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write it, private key and all, readable by its owner only; all as `Certificate.save`."""
        return self._certificate.save(
            path, password=password, no_password=no_password, readable_by=readable_by, overwrite=overwrite
        )

    def to_pfx(self, password: str | None, *, no_password: bool = False, readable_by: str | None = None) -> bytes:
        """Certificate, private key and chain as a PFX; as `Certificate.to_pfx`."""
        return self._certificate.to_pfx(password, no_password=no_password, readable_by=readable_by)

    def ssl_context(self) -> ssl.SSLContext:
        """A TLS client context that trusts this authority alone, and checks names and dates as Python does."""
        from mlsssl._machine import tls_contexts

        anchor = self._certificate
        return tls_contexts.trusting([anchor.to_der()], partial_chain=not pem.is_root(pem.x509_of(anchor)))

    def __eq__(self, other: object) -> bool:
        return self._certificate == other._certificate if isinstance(other, CertificateAuthority) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._certificate)

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import text

        url = self.crl_url
        return self._certificate._card("authority", [("revocation lists", text(url or ""))])  # noqa: SLF001 -- its own

    def __repr__(self) -> str:
        return f"<CertificateAuthority{repr(self._certificate).removeprefix('<Certificate')}"


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


def _told(certificate: Certificate) -> str:
    return certificate.subject or f"the certificate {certificate.thumbprint}"


def _authority_name(common_name: str, others: x509.Name) -> x509.Name:
    if not common_name:
        raise InvalidInputError("an authority needs a name: RFC 5280 section 4.1.2.6 wants a subject in every CA")
    return subjects.named(common_name, others)


def _is_old_root(certificate: Certificate) -> bool:
    constraints = pem.find_extension(pem.x509_of(certificate), x509.BasicConstraints)
    return certificate.is_self_issued and constraints is None


def _check_path_length(path_length: int) -> int:
    return check_whole(path_length, 0, 99, "path_length is None or a whole number from 0 to 99")


def _path_length(line: Sequence[x509.Certificate]) -> int | None:
    """The least that this authority and those above it allow below it; self-issued ones count nothing (4.2.1.9)."""
    allowed, depth = None, 0
    for certificate in line:
        constraints = pem.find_extension(certificate, x509.BasicConstraints)
        own = None if constraints is None else constraints.path_length
        if own is not None and (allowed is None or own - depth < allowed):
            allowed = max(0, own - depth)
        depth += certificate.issuer != certificate.subject
    return allowed


def _subtrees(argument: str, texts: Sequence[str]) -> list[x509.DNSName | x509.IPAddress]:
    expected = f"{argument} is a list of domains and networks, such as ['corp.test', '10.0.0.0/8']"
    return [parse_subtree(text) for text in items_of(texts, expected)]


def _subject(common_name: str | None, wanted: Sequence[x509.GeneralName], others: x509.Name) -> x509.Name:
    if common_name is None:
        return subjects.named(subjects.fitting(name_text(name) for name in wanted), others)
    if common_name and parse_name(common_name) not in wanted:
        raise InvalidInputError(
            f"the common name {shown(common_name)} is not among the names; clients look at those, so name it there too"
        )
    return subjects.named(name_text(parse_name(common_name)) if common_name else "", others)


def _texts(hosts: Sequence[str | CertificateRequest]) -> list[str]:
    if not all(isinstance(host, str) for host in hosts):
        raise InvalidInputError("a server certificate is issued for names, which are text, or for one request alone")
    return [host for host in hosts if isinstance(host, str)]


# -- what a renewal keeps: one rule for an authority here and for requests to any other ----------------------------


def renewal_hosts(old: Certificate) -> tuple[str, ...]:
    """The names of the successor. `InvalidInputError` for names that no request or authority here has. Private."""
    hosts = old.hosts
    other = [name for name in old.names if name not in hosts]
    if other:
        raise InvalidInputError(
            f"the old certificate has names that are not issued here ({', '.join(other)}); "
            "give a function that returns the new certificate"
        )
    if not hosts and old.common_name:
        return (old.common_name,)  # what MakeCert wrote: no subjectAltName, the host in the subject
    return hosts


def renewal_common_name(old: Certificate, hosts: Sequence[str]) -> str | None:
    """The common name of the successor, as `issue` takes it: one of its names, or none where there was none. Private.

    The first name is what an authority takes anyway, except for an address that its constraints would stop there.
    """
    return old.common_name if old.common_name in hosts[1:] else None if old.common_name else ""


def renewal_days(old: Certificate) -> int:
    """The validity of the successor: that of the old one, within what every client accepts. Private."""
    lifetime = old.not_after - old.not_before
    return max(1, min(SERVER_DAYS, round(lifetime / dt.timedelta(days=1))))


def sign_honoured(authority: CertificateAuthority, honoured: HonouredRequest, days: int) -> Certificate:
    """As `authority.sign`, for what was already looked at: what a caller checked is what is signed. Private."""
    names, key = list(honoured.names), honoured.public_key
    return authority._issue(names, None, key, days, None, subjects.EMPTY, check_moment(None), None)  # noqa: SLF001


def with_list_of(authority: CertificateAuthority, old: Certificate) -> CertificateAuthority:
    """The authority, naming the address of its revocation list that the old one has, when it names none. Private."""
    if authority.crl_url is not None:
        return authority
    with suppress(MalformedDataError):  # raised below, where it matters
        if extension_of(old, x509.CRLDistributionPoints) is None:
            return authority
    issuer, view = issuer_view(pem.x509_of(authority)), View(pem.x509_of(old))
    # A list is signed by one key: the one of an authority's former key says nothing of what the new one signs.
    if view.issuer != issuer.subject or not view.may_be_signed_by(issuer):
        return authority
    points = pem.find_extension(pem.x509_of(old), x509.CRLDistributionPoints)
    for name in (name for point in points or () for name in point.full_name or ()):
        if isinstance(name, x509.UniformResourceIdentifier) and certificates.is_address(name.value):
            return authority.with_crl_url(name.value)
    return authority
