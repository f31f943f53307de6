"""Why HTTP.sys cannot use a certificate (error 1312): the known causes in words, the same for every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._machine.ports import Cause, Diagnosis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._formats.binding_keys import BindingOptions
    from mlsssl.values import Location


_AGAIN = "add the certificate again together with its private key: store.add(certificate)"


def about_place(places: Sequence[tuple[Location, str]], store_name: str) -> tuple[Diagnosis, ...]:
    """For a certificate that is not in the LocalMachine store `store_name`: the `places` (stores) that have it."""
    here = f"LocalMachine\\{store_name}"
    add = f"with its private key: Store.open({store_name!r}).add(certificate)"
    wrong_stores = [name for location, name in places if location == "LocalMachine"]
    machine = " and ".join(f"LocalMachine\\{name}" for name in wrong_stores)
    user = " and ".join(f"CurrentUser\\{name}" for location, name in places if location != "LocalMachine")
    return _those_that_hold(
        (
            not places,
            Cause.NOT_IN_STORE,
            f"the certificate is in no store of this machine, so not in {here}",
            f"add it {add}",
        ),
        (
            bool(machine),
            Cause.WRONG_STORE,
            f"the certificate is in {machine}, not in {here}",
            f"bind it with store={next(iter(wrong_stores), '')!r}, or add it to {store_name!r} with its private key",
        ),
        (
            bool(user),
            Cause.WRONG_LOCATION,
            f"the certificate is in {user}, where HTTP.sys never looks",
            f"add it to {here} {add}",
        ),
    )


def about_key(
    *, container: str | None, key_exists: bool, persisted: bool, machine_keyset: bool, matches: bool
) -> tuple[Diagnosis, ...]:
    """For a certificate that is where it should be: what is wrong with its key; empty when nothing is.

    `container` is the key it names, or None; `key_exists` whether there is one of that name; the others as `KeyState`.
    """
    there = container is not None and key_exists
    return _those_that_hold(
        (container is None, Cause.NO_KEY, "the certificate in the store has no private key", _AGAIN),
        (
            container is not None and not key_exists,
            Cause.KEY_NOT_FOUND,
            f"the certificate names the private key {container}, which is not there",
            _AGAIN,
        ),
        (
            there and not machine_keyset,
            Cause.USER_KEYSET,
            "the private key lies among a user's keys, which HTTP.sys cannot open",
            "add the certificate again together with its private key to a LocalMachine store",
        ),
        (
            there and not persisted,
            Cause.KEY_NOT_PERSISTED,
            "the private key was never persisted; it ended with the process that loaded it",
            _AGAIN,
        ),
        (
            there and persisted and not matches,
            Cause.KEY_MISMATCH,
            "the private key that the certificate names is the key of another certificate",
            _AGAIN,
        ),
    )


def about_ctl(options: BindingOptions) -> tuple[Diagnosis, ...]:
    """For a certificate with which nothing is wrong: the trust list of client issuers that the binding names, if any.

    HTTP.sys answers 1312 to a list or a store of that name that it cannot use, too (KB 981506).
    """
    if options.ctl_identifier is None and options.ctl_store_name is None:
        return ()
    found = (
        "nothing is wrong with the certificate and its key; the binding names the trust list "
        f"{options.ctl_identifier!r} in the LocalMachine store {options.ctl_store_name!r}, "
        "which HTTP.sys may be unable to use"
    )
    remedy = (
        "see that the store exists and holds a trust list of that identifier, or leave both out: "
        "BindingOptions(ctl_identifier=None, ctl_store_name=None)"
    )
    return (Diagnosis(cause=Cause.UNUSABLE_CTL, found=found, remedy=remedy),)


def _those_that_hold(*causes: tuple[bool, Cause, str, str]) -> tuple[Diagnosis, ...]:
    """Of causes with whether each holds, what was found and the remedy: those that do."""
    return tuple(Diagnosis(cause=cause, found=found, remedy=remedy) for holds, cause, found, remedy in causes if holds)
