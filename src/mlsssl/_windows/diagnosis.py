"""Why HTTP.sys could not use a certificate: the known causes of 1312, each looked for in this Windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._machine.diagnosis import about_key, about_place
from mlsssl._windows import certificates, system_stores
from mlsssl._windows.failures import NO_SUCH_KEY, code_of
from mlsssl._windows.keys import stored
from mlsssl.errors import MalformedDataError, MlssslError, StoreNotFoundError

if TYPE_CHECKING:
    from mlsssl._machine.ports import Diagnosis
    from mlsssl._windows.certificates import StoredCertificate
    from mlsssl._windows.dlls import Dlls, StoreHandle
    from mlsssl.values import Thumbprint


def diagnose(dlls: Dlls, thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]:
    """Every cause that holds, likeliest first; empty when HTTP.sys can use the certificate.

    Looks into LocalMachine's store of that name; only when the certificate is not there, into all others. What this
    user may open is not quite what HTTP.sys may: that goes through LSASS, which is SYSTEM.
    """
    certificate = _find(dlls, thumbprint, store_name)
    if certificate is not None:
        return _about_key(dlls, certificate)

    def has_it(store: StoreHandle) -> bool:
        with system_stores.found(dlls, store, thumbprint) as context:
            return context is not None

    looked_at, _ = system_stores.look_everywhere(dlls, has_it)
    places = [(location, name) for location, name, there in looked_at if there]
    # A user's store shows what the machine's store of that name has (all but MY): there it is said already.
    machine = {name.casefold() for location, name in places if location == "LocalMachine"}
    apart = [(at, name) for at, name in places if at == "LocalMachine" or name.casefold() not in machine]
    return about_place(apart, store_name)


def _find(dlls: Dlls, thumbprint: Thumbprint, name: str) -> StoredCertificate | None:
    try:
        with (
            system_stores.opened(dlls, name, "LocalMachine") as store,
            system_stores.found(dlls, store, thumbprint) as context,
        ):
            return None if context is None else certificates.read(dlls, context)
    except StoreNotFoundError:
        return None


def _about_key(dlls: Dlls, certificate: StoredCertificate) -> tuple[Diagnosis, ...]:
    link = certificate.link
    if link is None:
        return about_key(container=None, key_exists=False, persisted=False, machine_keyset=False, matches=False)
    state = stored.state(dlls, link, certificate.der)
    return about_key(
        container=link.container,
        key_exists=not _is_missing(dlls, certificate),
        persisted=state.persisted,
        machine_keyset=link.is_machine,
        matches=state.matches is True,
    )


def _is_missing(dlls: Dlls, certificate: StoredCertificate) -> bool:
    assert certificate.link is not None
    try:
        stored.look(dlls, certificate.link)
    except MalformedDataError:
        return False
    except MlssslError as error:
        return code_of(error) in NO_SUCH_KEY
    return False
