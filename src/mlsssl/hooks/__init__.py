"""Steps after a change: what `hooks=` of `deploy`, `renew` and `renew_due` takes, and what each step is told.

Those that are ready: `hooks.command` runs a program, `hooks.files` writes a PFX or PEM files, `hooks.windows` sets the
listeners of Remote Desktop and WinRM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mlsssl._formats.binding_keys import HostnamePort
from mlsssl._formats.pem import x509_of
from mlsssl._machine.authorities import Authorities
from mlsssl._messages.arguments import items_of
from mlsssl._messages.output import as_dict
from mlsssl._select.ports import is_embedded, port_of
from mlsssl.errors import InvalidInputError, StoreNotFoundError
from mlsssl.store import Store

if TYPE_CHECKING:
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._select.ports import HasPort
    from mlsssl.certificate import Certificate
    from mlsssl.values import Thumbprint


__all__ = ["AfterFailure", "Hook", "Replacement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    r"""That a binding, or several at once, was given another certificate: what each of `hooks=` is called with.

    Attributes:
        verb: `deploy` or `renew`; `undo` when such a change was taken back and the step is to follow.
        key: The binding's key.
        keys: The keys of all bindings that were changed together (`everywhere=True`), this one first. Of a change that
            is left over, those that still are as it left them.
        old: The thumbprint that was bound before; None when nothing was.
        new: The thumbprint that is bound now; None only after the undo of a first deploy.
        store: The LocalMachine store of the new certificate, such as `MY` (of the old one, when `new` is None), that
            the binding `key` names.
        hosts: The host names and addresses of that certificate, in its order.
        left_over: Whether the change was made by an earlier process, which was killed before this step or whose step
            failed.
        machine: The machine, as it was given to `deploy` or `renew`; None for this computer.
    """

    verb: Literal["deploy", "renew", "undo"]
    key: BindingKey
    keys: tuple[BindingKey, ...]
    old: Thumbprint | None
    new: Thumbprint | None
    store: str
    hosts: tuple[str, ...]
    left_over: bool = False
    machine: HasPort | None = field(default=None, repr=False, compare=False)
    _certificate: Certificate | None = field(default=None, repr=False, compare=False)

    @property
    def host(self) -> str | None:
        """The name that clients connect to: that of the key, else the certificate's first; None when it has none."""
        if isinstance(self.key, HostnamePort):
            return self.key.host
        return self.hosts[0] if self.hosts else None

    @property
    def machine_kind(self) -> Literal["windows", "embedded"]:
        """Whether this happened on Windows or on an embedded machine."""
        return "embedded" if is_embedded(port_of(self.machine)) else "windows"

    def certificate_with_key(self) -> Certificate:
        """The new certificate with its private key and chain: the one that was given, or read back out of the stores.

        The key of a certificate from an issuer was made in the machine, so it is read back too, and has to be
        exportable: as the one before it was, or by `exportable=True` of `deploy`.

        Raises:
            AccessDeniedError: its key may not be exported, or this user may not read it.
            StoreNotFoundError: it is not in its store, or nothing is bound now.
        """
        from mlsssl._issue.machine_keys import is_held

        given = self._certificate
        if given is not None and given.has_private_key and not is_held(given.private_key):
            return given
        if self.new is None:
            raise StoreNotFoundError(f"nothing is bound to {self.key} now, so there is no certificate to read")
        found = Store(self.store, "LocalMachine", self.machine).export(self.new)
        return found.with_chain(Authorities(port_of(self.machine)).issuers_of([x509_of(found)]))

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON; no secret is among them."""
        names = ("verb", "key", "keys", "old", "new", "store", "host", "hosts", "machine_kind", "left_over")
        return as_dict(self, *names)


Hook: TypeAlias = Callable[[Replacement], object]
"""A step after a change: called with what was replaced; what it returns is ignored, what it raises is its failure."""

AfterFailure = Literal["report", "undo"]
"""What a step's failure leads to: it is told of, or the change is taken back as well."""


def checked_hooks(hooks: Any) -> tuple[Hook, ...]:  # what a caller without a type checker may give
    """The hooks as a tuple; `InvalidInputError` when they are none."""
    expected = "hooks is a list of functions that take a Replacement, such as [CommandHook(['/usr/local/bin/reload'])]"
    found = tuple(items_of(hooks, expected))
    for hook in found:
        if not callable(hook):
            raise InvalidInputError(f"{expected}; {type(hook).__name__} cannot be called")
        if isinstance(hook, type):
            raise InvalidInputError(f"{expected}; {hook.__name__} is a class, give one that was made of it")
    return found


def name_of(hook: Hook) -> str:
    """What to call a hook in messages and records: its `name`, else the function's."""
    name = getattr(hook, "name", None) or getattr(hook, "__qualname__", None) or type(hook).__qualname__
    return name if isinstance(name, str) else type(hook).__qualname__
