"""Why HTTP.sys cannot use a certificate (error 1312): the known causes in words, the same for every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._machine.ports import Cause, Diagnosis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl.values import BindingOptions, Location


def about_place(places: Sequence[tuple[Location, str]], store_name: str) -> tuple[Diagnosis, ...]:
    """For a certificate that is not in the LocalMachine store `store_name`: where it is instead.

    Args:
        places: Location and name of each store that has it.
        store_name: The store that the binding names.
    """
    here = f"LocalMachine\\{store_name}"
    if not places:
        return (
            Diagnosis(
                cause=Cause.NOT_IN_STORE,
                found=f"the certificate is in no store of this machine, so not in {here}",
                remedy=f"add it with its private key: Store.open({store_name!r}).add(certificate)",
            ),
        )
    found = []
    wrong_stores = [name for location, name in places if location == "LocalMachine"]
    if wrong_stores:
        names = " and ".join(f"LocalMachine\\{name}" for name in wrong_stores)
        found.append(
            Diagnosis(
                cause=Cause.WRONG_STORE,
                found=f"the certificate is in {names}, not in {here}",
                remedy=f"bind it with store={wrong_stores[0]!r}, or add it to {store_name!r} with its private key",
            )
        )
    wrong_locations = [name for location, name in places if location != "LocalMachine"]
    if wrong_locations:
        names = " and ".join(f"CurrentUser\\{name}" for name in wrong_locations)
        found.append(
            Diagnosis(
                cause=Cause.WRONG_LOCATION,
                found=f"the certificate is in {names}, where HTTP.sys never looks",
                remedy=f"add it to {here} with its private key: Store.open({store_name!r}).add(certificate)",
            )
        )
    return tuple(found)


def about_key(
    *, container: str | None, key_exists: bool, persisted: bool, machine_keyset: bool, matches: bool
) -> tuple[Diagnosis, ...]:
    """For a certificate that is where it should be: what is wrong with its key; empty when nothing is.

    Args:
        container: The key it names, or None.
        key_exists: Whether there is a key of that name.
        persisted: Whether it opens.
        machine_keyset: Whether it is among the machine's keys.
        matches: Whether it is this certificate's key.
    """
    again = "add the certificate again together with its private key: store.add(certificate)"
    if container is None:
        return (Diagnosis(cause=Cause.NO_KEY, found="the certificate in the store has no private key", remedy=again),)
    if not key_exists:
        return (
            Diagnosis(
                cause=Cause.KEY_NOT_FOUND,
                found=f"the certificate names the private key {container}, which is not there",
                remedy=again,
            ),
        )
    found = []
    if not machine_keyset:
        found.append(
            Diagnosis(
                cause=Cause.USER_KEYSET,
                found="the private key lies among a user's keys, which HTTP.sys cannot open",
                remedy="add the certificate again together with its private key to a LocalMachine store",
            )
        )
    if not persisted:
        found.append(
            Diagnosis(
                cause=Cause.KEY_NOT_PERSISTED,
                found="the private key was never persisted; it ended with the process that loaded it",
                remedy=again,
            )
        )
    elif not matches:
        found.append(
            Diagnosis(
                cause=Cause.KEY_MISMATCH,
                found="the private key that the certificate names is the key of another certificate",
                remedy=again,
            )
        )
    return tuple(found)


def about_ctl(options: BindingOptions) -> tuple[Diagnosis, ...]:
    """For a certificate with which nothing is wrong: the trust list of client issuers that the binding names, if any.

    HTTP.sys answers 1312 to a list or a store of that name that it cannot use, too (KB 981506).
    """
    if options.ctl_identifier is None and options.ctl_store_name is None:
        return ()
    return (
        Diagnosis(
            cause=Cause.UNUSABLE_CTL,
            found=(
                "nothing is wrong with the certificate and its key; the binding names the trust list "
                f"{options.ctl_identifier!r} in the LocalMachine store {options.ctl_store_name!r}, "
                "which HTTP.sys may be unable to use"
            ),
            remedy=(
                "see that the store exists and holds a trust list of that identifier, or leave both out: "
                "BindingOptions(ctl_identifier=None, ctl_store_name=None)"
            ),
        ),
    )
