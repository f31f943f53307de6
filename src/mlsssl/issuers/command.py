"""`CommandIssuer`: any program that reads a request on standard input and writes the certificate on standard output."""

from __future__ import annotations

from pathlib import PureWindowsPath
from typing import TYPE_CHECKING

from mlsssl._formats import pem
from mlsssl._machine import programs
from mlsssl._messages.arguments import check_mapping, check_number, check_type, items_of
from mlsssl.certificate import Certificate, check_certificate
from mlsssl.errors import InvalidInputError, IssuePendingError, IssuerError, MalformedDataError
from mlsssl.request import CertificateRequest
from mlsssl.values import set_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["PENDING", "CommandIssuer"]

PENDING = 13
"""The exit code of a program that has no answer yet; the command line of mlsssl ends with the same."""

_LIMIT = 1024 * 1024
"""Bytes that a program may write; a chain of certificates takes some ten thousand."""

_MOST_SAID = 500
"""Characters of standard error that go into a message."""


class CommandIssuer:
    """An `Issuer` that is a program: it gets the request, and writes the certificate. Immutable.

    The program reads the request as PEM (RFC 7468, `CERTIFICATE REQUEST`) on standard input and writes the certificate
    on standard output, with the intermediates that clients need: PEM, DER, PKCS#7, or what else `Certificate.load`
    reads. It ends with 0; with 13 when there is no answer yet, so that the next run asks again with the same request;
    with any other code when it refuses. What it writes on standard error then stands in the error's message, so no
    secret belongs there. In its environment it finds, besides what this process has:

    - `MLSSSL_NAMES`: the names that the request is for, with blanks between them;
    - `MLSSSL_REQUEST`: the request's fingerprint, the SHA-256 of its DER in hexadecimal. It is the same when the
      request comes again, after a kill or a 13: keep under it what was ordered, and order nothing twice;
    - `MLSSSL_OLD_CERTIFICATE`, `MLSSSL_OLD_THUMBPRINT`: the certificate that is replaced, as PEM, and its SHA-1; not
      set for the first certificate.

    The private key stays where it is; the program never gets it. No shell is involved. At the end of its time the
    program is killed with what it has started.

    Args:
        command: The program and its arguments. Others on the machine can read them: a secret belongs into
            `environment`, or a file.
        issued_by: The certificate of the authority that signs, or several: a certificate below one of them is the
            program's own (`issued`), an answer has to be one, and gets this certificate into its chain when the program
            leaves it out and it is no root. Names are compared; whether signatures hold is checked when it is deployed.
        timeout: Seconds that the program may take, at most 86,400.
        name: What it is called in messages and records; the program's file name when not given.
        environment: Variables for the program, besides this process's own.

    Raises:
        InvalidInputError: an argument that cannot be; or (on Windows) a batch file, which a shell would run.
    """

    __slots__ = ("_authorities", "_command", "_environment", "_name", "_timeout")

    _authorities: tuple[Certificate, ...]
    _command: tuple[str, ...]
    _environment: dict[str, str]
    _name: str
    _timeout: float

    def __init__(
        self,
        command: Sequence[str],
        *,
        issued_by: Certificate | Iterable[Certificate],
        timeout: float = 300,
        name: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        words = programs.checked_command(command)
        given = [issued_by] if isinstance(issued_by, Certificate) else issued_by
        found = items_of(given, "issued_by is a certificate, or several in a list")
        authorities = tuple(check_certificate(one).without_key() for one in found)
        if not authorities:
            raise InvalidInputError(
                "issued_by is the certificate of the authority that signs what the command gives, so that its own are "
                "told from others; none was given"
            )
        variables = check_mapping(environment or {}, "environment is a mapping of variables to texts")
        if not all(isinstance(text, str) for item in variables.items() for text in item):
            raise InvalidInputError("environment is a mapping of variables to texts")
        if name is not None and not check_type(name, str, "name is a text"):
            raise InvalidInputError("name is a text that is not empty")
        set_attributes(
            self,
            _authorities=authorities,
            _command=tuple(words),
            _environment=variables,
            _name=PureWindowsPath(words[0]).name if name is None else name,
            _timeout=check_number(timeout, 0, 86_400, "timeout is a number of seconds, at most 86400", above=True),
        )

    @property
    def name(self) -> str:
        """What it is called in messages and records."""
        return self._name

    def issued(self, certificate: Certificate) -> bool:
        """Whether a certificate names one of `issued_by` as its issuer.

        `MalformedDataError` when its name cannot be read.
        """
        issuer = pem.x509_of(check_certificate(certificate)).issuer
        return any(pem.x509_of(one).subject == issuer for one in self._authorities)

    def issue(self, request: CertificateRequest, /, *, old: Certificate | None) -> Certificate:
        """What the program gives for this request; arguments as `Issuer.issue`, and see the class.

        Raises:
            IssuePendingError: the program ended with 13.
            IssuerError: it ended with another code than 0, took too long, wrote too much, or wrote what is no
                certificate of `issued_by`.
            NotFoundError: there is no such program.
            AccessDeniedError: this user may not run it.
            NativeError: it cannot be started for another reason.
        """
        check_type(request, CertificateRequest, "a CertificateRequest is needed")
        if old is not None:
            check_certificate(old)
        done = programs.run(
            self._command,
            input=request.to_pem(),
            timeout=self._timeout,
            environment={**self._environment, **_told(request, old)},
            limit=_LIMIT,
        )
        said = _said(done.error)
        if done.stopped is not None:
            raise IssuerError(f"{self._name} was ended, since it {done.stopped}{said}", issuer=self._name)
        if done.code == PENDING:
            raise IssuePendingError(
                f"{self._name} has no answer yet{said}; the next try asks with the same request", issuer=self._name
            )
        if done.code != 0:
            raise IssuerError(f"{self._name} gave no certificate: it ended with {done.code}{said}", issuer=self._name)
        if not done.output.strip():
            raise IssuerError(
                f"{self._name} ended with 0 and wrote no certificate on standard output{said}", issuer=self._name
            )
        return answer_of(done.output, self._name, self._authorities)

    def __repr__(self) -> str:
        return f"<CommandIssuer {self._name}>"


def answer_of(data: bytes, name: str, authorities: Iterable[Certificate]) -> Certificate:
    """The certificate that an issuer of this name gave, below one of these authorities, with its chain.

    `IssuerError` when there is none. Private.
    """
    try:
        answer = Certificate.from_bytes(data).without_key()
        issuer = pem.x509_of(answer).issuer
        above = [one for one in authorities if pem.x509_of(one).subject == issuer]
    except MalformedDataError as error:
        raise IssuerError(f"{name} gave no certificate that can be read: {error}", issuer=name) from error
    if not above:
        raise IssuerError(f"{name} gave a certificate of {answer.issuer}, which issued_by does not name", issuer=name)
    missing = [one for one in above if one not in answer.chain and one.issuer != one.subject]
    if missing and not any(one.subject == answer.issuer for one in answer.chain):
        return answer.with_chain([*answer.chain, *missing])
    return answer


def _told(request: CertificateRequest, old: Certificate | None) -> dict[str, str]:
    told = {"MLSSSL_NAMES": " ".join(request.names), "MLSSSL_REQUEST": request.fingerprint}
    if old is not None:
        told["MLSSSL_OLD_CERTIFICATE"] = old.to_pem().decode("ascii")
        told["MLSSSL_OLD_THUMBPRINT"] = str(old.thumbprint)
    return told


def _said(error: bytes) -> str:
    text = " ".join(error[: 8 * _MOST_SAID].decode("utf-8", "replace").split())
    if not text:
        return ""
    return f": {text if len(text) <= _MOST_SAID else text[:_MOST_SAID] + '…'}"
