"""Windows' chain engine and its TLS policy: everything they hold against a server certificate."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, cast

from mlsssl._formats.hosts import parse_host
from mlsssl._formats.pem import is_root, load_der
from mlsssl._machine.ports import TrustProblem
from mlsssl._native.cdata import NULL, ffi, wide
from mlsssl._native.codes import code_name
from mlsssl._windows import certificates, system_stores
from mlsssl._windows.failures import require
from mlsssl.errors import InvalidInputError, StoreNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CertContext, ChainContext, ChainEngine, Dlls, StoreHandle
    from mlsssl.values import Purpose

# wincrypt.h
_PROVIDER_MEMORY = 2  # CERT_STORE_PROV_MEMORY
_LOCAL_MACHINE_ENGINE = 1  # HCCE_LOCAL_MACHINE
_EXCLUSIVE_ENABLE_CA = 0x1  # CERT_CHAIN_EXCLUSIVE_ENABLE_CA_FLAG: an anchor need not be self-signed
_USAGES = {"server": b"1.3.6.1.5.5.7.3.1", "client": b"1.3.6.1.5.5.7.3.2"}
_POLICY_SSL = 4  # CERT_CHAIN_POLICY_SSL
_AUTHTYPES = {"client": 1, "server": 2}  # AUTHTYPE_CLIENT, AUTHTYPE_SERVER: whose certificate is judged
# wininet.h, SECURITY_FLAG_IGNORE_*: revocation, unknown CA, wrong usage, dates. What they would say is in the trust
# status already, completely; the policy names one error only, and is asked for the name.
_ALL_BUT_THE_NAME = 0x80 | 0x100 | 0x200 | 0x2000
_CN_NO_MATCH = 0x800B010F
_URL_TIMEOUT = 10_000  # milliseconds for an issuer or a root that Windows fetches

_FILETIME_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.timezone.utc)

STATUS = {
    0x1: ("CERT_TRUST_IS_NOT_TIME_VALID", "is not valid at this moment"),
    0x2: ("CERT_TRUST_IS_NOT_TIME_NESTED", "is valid at times when its issuer is not"),
    0x4: ("CERT_TRUST_IS_REVOKED", "is revoked"),
    0x8: ("CERT_TRUST_IS_NOT_SIGNATURE_VALID", "has a signature that does not verify"),
    0x10: ("CERT_TRUST_IS_NOT_VALID_FOR_USAGE", "is not for TLS servers"),
    0x20: ("CERT_TRUST_IS_UNTRUSTED_ROOT", "is a root that is not trusted"),
    0x40: ("CERT_TRUST_REVOCATION_STATUS_UNKNOWN", "could not be looked up for revocation"),
    0x80: ("CERT_TRUST_IS_CYCLIC", "was issued, in a circle, by one that it issued"),
    0x100: ("CERT_TRUST_INVALID_EXTENSION", "has an extension that is not valid"),
    0x200: ("CERT_TRUST_INVALID_POLICY_CONSTRAINTS", "breaks policy constraints"),
    0x400: ("CERT_TRUST_INVALID_BASIC_CONSTRAINTS", "breaks basic constraints: no authority, or one too many below it"),
    0x800: ("CERT_TRUST_INVALID_NAME_CONSTRAINTS", "has name constraints that are not valid"),
    0x1000: ("CERT_TRUST_HAS_NOT_SUPPORTED_NAME_CONSTRAINT", "has name constraints of a kind that is not known"),
    0x2000: ("CERT_TRUST_HAS_NOT_DEFINED_NAME_CONSTRAINT", "has a name that the name constraints do not speak of"),
    0x4000: ("CERT_TRUST_HAS_NOT_PERMITTED_NAME_CONSTRAINT", "has a name that the name constraints do not permit"),
    0x8000: ("CERT_TRUST_HAS_EXCLUDED_NAME_CONSTRAINT", "has a name that the name constraints exclude"),
    0x10000: ("CERT_TRUST_IS_PARTIAL_CHAIN", "has an issuer that was not found"),
    0x20000: ("CERT_TRUST_CTL_IS_NOT_TIME_VALID", "rests on a trust list that is not valid at this moment"),
    0x40000: ("CERT_TRUST_CTL_IS_NOT_SIGNATURE_VALID", "rests on a trust list whose signature does not verify"),
    0x80000: ("CERT_TRUST_CTL_IS_NOT_VALID_FOR_USAGE", "rests on a trust list that is not for TLS servers"),
    0x100000: ("CERT_TRUST_HAS_WEAK_SIGNATURE", "has a signature with an algorithm that is too weak"),
    0x1000000: ("CERT_TRUST_IS_OFFLINE_REVOCATION", "has revocation lists that could not be fetched"),
    0x2000000: ("CERT_TRUST_NO_ISSUANCE_CHAIN_POLICY", "has no certificate policy that was asked for"),
    0x4000000: ("CERT_TRUST_IS_EXPLICIT_DISTRUST", "is distrusted on purpose (store Disallowed)"),
    0x8000000: ("CERT_TRUST_HAS_NOT_SUPPORTED_CRITICAL_EXT", "has a critical extension that is not known"),
}
"""CERT_TRUST_STATUS.dwErrorStatus: every bit of wincrypt.h, with what it says about a certificate."""


def verify(
    dlls: Dlls,
    leaf: bytes,
    intermediates: Sequence[bytes],
    host: str | None,
    at: dt.datetime,
    purpose: Purpose = "server",
    *,
    roots: Sequence[bytes] | None = None,
) -> tuple[TrustProblem, ...]:
    """Have Windows build the chain of a server's or client's certificate and judge it.

    Args:
        dlls: Windows.
        leaf: DER.
        intermediates: What the server or client sends besides, DER, in any order.
        host: The name that clients use; None, or an address, leaves the name out.
        at: The moment to judge for; aware.
        purpose: Whose certificate it is.
        roots: Trust these alone; None trusts what this computer trusts (LocalMachine, with Windows' own automatic
            root update), not what only this user does.

    Returns:
        Everything that is wrong, leaf first; empty when Windows trusts it.

    Raises:
        InvalidInputError: a naive moment, or a host name that is none.
        NativeError: the chain could not be built at all, which says nothing about the certificate.

    Not checked: revocation. Windows may fetch missing issuers and roots from the network (10 seconds each).
    Source: learn.microsoft.com, CertGetCertificateChain and CertVerifyCertificateChainPolicy.
    """
    if at.tzinfo is None or at.utcoffset() is None:
        raise InvalidInputError("at= must be an aware datetime, for example datetime.now(timezone.utc)")
    wanted = None if host is None else parse_host(host)
    name = wanted if isinstance(wanted, str) else None  # for an address the documentation of the policy says nothing
    with (
        certificates.created(dlls, leaf) as context,
        _memory_store(dlls, intermediates) as additional,
        _engine(dlls, roots) as engine,
        _chain(dlls, engine, context, additional, at, purpose) as chain,
    ):
        problems = list(_read(chain))
        code = _policy(dlls, chain, name, purpose)
        # Other codes than the name's are short words for what the trust status said at length.
        if code and (code == _CN_NO_MATCH or not problems):
            text = f"is not for {host}" if code == _CN_NO_MATCH else "is refused by Windows' TLS policy"
            problems.append(TrustProblem(code=code, name=code_name(code), position=0, certificate=leaf, text=text))
        return tuple(problems)


def roots(dlls: Dlls) -> list[bytes]:
    """The roots that this computer trusts now, DER: LocalMachine's Root, without what is in Disallowed.

    Windows knows more, which it fetches when a chain first needs them: `verify` does, a list cannot.
    """
    found: dict[str, list[bytes]] = {}
    for name in ("Root", "Disallowed"):
        # A Windows on which nothing was ever distrusted may have no such store.
        with contextlib.suppress(StoreNotFoundError), system_stores.opened(dlls, name, "LocalMachine") as store:
            found[name] = system_stores.all_of(dlls, store, certificates.encoded)
    return [root for root in dict.fromkeys(found.get("Root", ())) if root not in found.get("Disallowed", ())]


def _read(chain: ChainContext) -> Iterator[TrustProblem]:
    """One problem per bit and certificate; what only the whole chain says is about its last certificate."""
    said = 0
    position, last = 0, b""
    for number in range(chain.cChain):
        simple = chain.rgpChain[number]
        for index in range(simple.cElement):
            element = simple.rgpElement[index]
            last = certificates.encoded(element.pCertContext)
            said |= element.TrustStatus.dwErrorStatus
            yield from _problems(element.TrustStatus.dwErrorStatus, position, last)
            position += 1
    yield from _problems(chain.TrustStatus.dwErrorStatus & ~said, max(position - 1, 0), last)


def _problems(status: int, position: int, certificate: bytes) -> Iterator[TrustProblem]:
    for bit in (1 << number for number in range(32)):
        if status & bit:
            name, text = STATUS.get(bit, (f"CERT_TRUST_BIT_{bit:X}", "is refused for a reason without a name here"))
            yield TrustProblem(code=bit, name=name, position=position, certificate=certificate, text=text)


def _policy(dlls: Dlls, chain: ChainContext, host: str | None, purpose: Purpose) -> int:
    name = None if host is None else wide(host)
    extra = ffi.new("SSL_EXTRA_CERT_CHAIN_POLICY_PARA *")
    extra.cbSize, extra.dwAuthType = ffi.sizeof("SSL_EXTRA_CERT_CHAIN_POLICY_PARA"), _AUTHTYPES[purpose]
    extra.fdwChecks = _ALL_BUT_THE_NAME
    extra.pwszServerName = NULL if name is None else name
    para = ffi.new("CERT_CHAIN_POLICY_PARA *")
    para.cbSize, para.pvExtraPolicyPara = ffi.sizeof("CERT_CHAIN_POLICY_PARA"), extra
    status = ffi.new("CERT_CHAIN_POLICY_STATUS *")
    status.cbSize = ffi.sizeof("CERT_CHAIN_POLICY_STATUS")
    # FALSE is "could not check", which a zero dwError must not hide.
    done = dlls.crypt32.CertVerifyCertificateChainPolicy(ffi.cast("char *", _POLICY_SSL), chain, para, status)
    require(dlls, "CertVerifyCertificateChainPolicy", done)
    return int(status.dwError)


@contextlib.contextmanager
def _chain(
    dlls: Dlls, engine: ChainEngine, leaf: CertContext, additional: StoreHandle, at: dt.datetime, purpose: Purpose
) -> Iterator[ChainContext]:
    usage = ffi.new("char[]", _USAGES[purpose])
    usages = ffi.new("char *[]", [usage])
    para = ffi.new("CERT_CHAIN_PARA *")
    para.cbSize = ffi.sizeof("CERT_CHAIN_PARA")
    para.RequestedUsage.Usage.cUsageIdentifier, para.RequestedUsage.Usage.rgpszUsageIdentifier = 1, usages
    para.dwUrlRetrievalTimeout = _URL_TIMEOUT
    result = ffi.new("CERT_CHAIN_CONTEXT **")
    nothing = cast("CData", NULL)
    done = dlls.crypt32.CertGetCertificateChain(engine, leaf, _filetime(at), additional, para, 0, nothing, result)
    require(dlls, "CertGetCertificateChain", done)
    chain: ChainContext = result[0]
    try:
        yield chain
    finally:
        dlls.crypt32.CertFreeCertificateChain(chain)


@contextlib.contextmanager
def _engine(dlls: Dlls, roots: Sequence[bytes] | None) -> Iterator[ChainEngine]:
    if roots is None:
        yield cast("ChainEngine", ffi.cast("HCERTCHAINENGINE", _LOCAL_MACHINE_ENGINE))
        return
    with _memory_store(dlls, roots) as store:
        config = ffi.new("CERT_CHAIN_ENGINE_CONFIG *")
        config.hExclusiveRoot = store
        if all(is_root(load_der(der)) for der in roots):
            config.cbSize = ffi.offsetof("CERT_CHAIN_ENGINE_CONFIG", "dwExclusiveFlags")  # the form of Windows 7
        else:
            config.cbSize = ffi.sizeof("CERT_CHAIN_ENGINE_CONFIG")
            config.dwExclusiveFlags = _EXCLUSIVE_ENABLE_CA
        result = ffi.new("HCERTCHAINENGINE *")
        done = dlls.crypt32.CertCreateCertificateChainEngine(config, result)
        require(dlls, "CertCreateCertificateChainEngine", done)
        engine: ChainEngine = result[0]
        try:
            yield engine
        finally:
            dlls.crypt32.CertFreeCertificateChainEngine(engine)


@contextlib.contextmanager
def _memory_store(dlls: Dlls, ders: Sequence[bytes]) -> Iterator[StoreHandle]:
    store = dlls.crypt32.CertOpenStore(ffi.cast("char *", _PROVIDER_MEMORY), 0, NULL, 0, NULL)
    require(dlls, "CertOpenStore", store)
    with system_stores.closing_store(dlls, store):
        for der in ders:
            with certificates.created(dlls, der) as context:
                system_stores.add_new(dlls, store, context)
        yield store


def _filetime(at: dt.datetime) -> CData:
    steps = (at - _FILETIME_EPOCH) // dt.timedelta(microseconds=1) * 10
    time = ffi.new("FILETIME *")
    time.dwLowDateTime, time.dwHighDateTime = steps & 0xFFFF_FFFF, steps >> 32
    return time
