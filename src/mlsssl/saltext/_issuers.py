"""Issuers by name: what `mlsssl:issuers:NAME` of a minion's pillar or configuration describes."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl._commands.issuers import ISSUER_ARGUMENTS, issuer_of
from mlsssl._formats import pem
from mlsssl._messages.arguments import check_number, check_type
from mlsssl._messages.foreign_text import shown
from mlsssl.certificate import certificates_in, check_certificate
from mlsssl.errors import InvalidInputError, IssuePendingError, IssuerError
from mlsssl.issuers.command import answer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlsssl.saltext._settings import Surroundings

_PEER_ARGUMENTS = ("minion", "master", "policy", "issued_by", "timeout")


def issuer_named(name: str, around: Surroundings, machine: str | None) -> mlsssl.Issuer:
    """The issuer of this name.

    Its settings are those of `PeerIssuer`, or else the options of `mlsssl renew`, with `_` in them: `acme_webroot`.
    `issued_by` is a file of this minion, or the certificates themselves as PEM.

    Raises:
        NotFoundError: there are no such settings.
        InvalidInputError, MlssslError: as what makes the issuer.
    """
    settings = around.named("issuers", name)
    by_peer = "minion" in settings or "master" in settings
    known = _PEER_ARGUMENTS if by_peer else ISSUER_ARGUMENTS
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise InvalidInputError(
            f"the issuer {shown(name)} has settings that are none: {', '.join(map(shown, unknown))}"
        )
    if by_peer:
        if settings.get("master", True) is not True or ("minion" in settings) == ("master" in settings):
            raise InvalidInputError(f"the issuer {shown(name)} is either minion: ID, or master: true")
        return PeerIssuer(
            settings.get("minion"),
            policy=settings.get("policy"),
            issued_by=_authorities(name, settings.get("issued_by")),
            timeout=settings.get("timeout", 60),
            functions=around.functions,
        )
    if settings.get("ca") is not None:
        password = around.secret(settings.get("ca_password"), f"the password of the issuer {name}")
        return mlsssl.CertificateAuthority.load(
            settings["ca"], password=password, key=settings.get("ca_key"), alias=settings.get("ca_alias")
        )
    given: dict[str, Any] = {**dict.fromkeys(ISSUER_ARGUMENTS), **settings, "machine": machine}
    issuer = issuer_of(Namespace(**given))
    if issuer is None:
        raise InvalidInputError(
            f"the issuer {shown(name)} has none of the settings that choose one: minion, master, ca, issuer_command, "
            "adcs, acme"
        )
    return issuer


def _authorities(name: str, issued_by: object) -> tuple[mlsssl.Certificate, ...]:
    text = check_type(
        issued_by, str, f"issued_by of the issuer {shown(name)} is the authority's certificate, a file or PEM"
    )
    found = certificates_in(text.encode()) if "-----BEGIN" in text else mlsssl.Certificate.load_all(text)
    return tuple(one.without_key() for one in found)


class PeerIssuer:
    """An `Issuer` that is another minion, or the master, with an authority and a policy for this one. Immutable.

    The request travels through the master, which tells the signing side the id that it knows this minion by. The
    private key stays here.

    Args:
        minion: The id of the signing minion; None for the master itself.
        policy: The name of the policy there.
        issued_by: The certificates of the authority, as of `CommandIssuer`.
        timeout: Seconds to wait for a signing minion, at most 3600. For the master Salt's own `request_channel_timeout`
            counts.
        functions: Salt's execution modules.

    Raises:
        InvalidInputError: an argument that cannot be.
    """

    __slots__ = ("_authorities", "_functions", "_minion", "_policy", "_timeout")

    def __init__(
        self,
        minion: str | None,
        *,
        policy: str | None,
        issued_by: tuple[mlsssl.Certificate, ...],
        timeout: float,
        functions: Mapping[str, Callable[..., Any]],
    ) -> None:
        self._minion = None if minion is None else check_type(minion, str, "minion is the id of the signing minion")
        self._policy = check_type(policy, str, "policy is the name of a policy of the signing side")
        self._authorities = issued_by
        self._timeout = check_number(timeout, 0, 3600, "timeout is a number of seconds, at most 3600", above=True)
        self._functions = functions

    @property
    def name(self) -> str:
        """Who it is, in messages and records."""
        return f"{self._policy} of {self._signer}"

    @property
    def _signer(self) -> str:
        return "the master" if self._minion is None else self._minion

    def issued(self, certificate: mlsssl.Certificate) -> bool:
        """Whether a certificate names one of `issued_by` as its issuer; `MalformedDataError` as `CommandIssuer`."""
        issuer = pem.x509_of(check_certificate(certificate)).issuer
        return any(pem.x509_of(one).subject == issuer for one in self._authorities)

    def issue(self, request: mlsssl.CertificateRequest, /, *, old: mlsssl.Certificate | None) -> mlsssl.Certificate:
        """What the signing side gives for this request.

        Raises:
            IssuerError: it refuses, does not answer, or gives no certificate of `issued_by`.
        """
        arguments = [self._policy, request.to_pem().decode("ascii")]
        if self._minion is None:
            found = self._functions["publish.runner"]("mlsssl_ca.sign_request", arg=arguments)
            permission = "peer_run"
        else:
            answers = self._functions["publish.publish"](
                self._minion, "mlsssl_ca.sign_request", arg=arguments, tgt_type="list", timeout=self._timeout
            )
            found = answers.get(self._minion) if isinstance(answers, dict) else answers
            permission = "peer"
        if isinstance(found, dict) and isinstance(found.get("certificate"), str):
            return answer_of(found["certificate"].encode("utf-8", "replace"), self.name, self._authorities)
        if isinstance(found, dict) and isinstance(found.get("refused"), str):
            raise IssuerError(f"{self._signer} refuses: {found['refused'][:1000]}", issuer=self.name)
        said = f" but {shown(found)}" if found else ""
        raise IssuerError(
            f"{self._signer} gave no answer{said}: whether it is up, has the policy {shown(self._policy)}, and the "
            f"master's {permission} lets this minion call mlsssl_ca.sign_request is to be looked at",
            issuer=self.name,
        )

    def __repr__(self) -> str:
        return f"<PeerIssuer {self.name}>"


class HandedIn:
    """An `Issuer` that is a person: the request is given out, and the certificate handed in later. Not immutable.

    Attributes:
        request: What was asked for; None until then.
    """

    name = "whoever is given the request"

    def __init__(self, answer: mlsssl.Certificate | None = None) -> None:
        self._answer = answer
        self.request: mlsssl.CertificateRequest | None = None

    def issued(self, certificate: mlsssl.Certificate) -> bool:
        """None is its own, so that each call asks."""
        return False

    def issue(self, request: mlsssl.CertificateRequest, /, *, old: mlsssl.Certificate | None) -> mlsssl.Certificate:
        """The certificate that was handed in; `IssuePendingError` as long as there is none."""
        self.request = request
        if self._answer is None:
            raise IssuePendingError("the certificate is still to be handed in", issuer=self.name)
        return self._answer
