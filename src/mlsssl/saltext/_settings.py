"""What a minion is told by its configuration and its pillar, both under the key `mlsssl`: machine, issuers, secrets.

The pillar goes before the configuration, name by name. Grains are never looked at: a minion chooses its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl._messages.arguments import check_type
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

_SOURCES = "pillar:KEY, file:PATH or sdb://PROFILE/KEY"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What Salt's loader gives a module.

    Attributes:
        opts: The minion's configuration, `__opts__`.
        pillar: What the master has compiled for this minion, `__pillar__`.
        functions: The other execution modules' functions, `__salt__`.
    """

    opts: Mapping[str, Any]
    pillar: Mapping[str, Any]
    functions: Mapping[str, Callable[..., Any]]

    def setting(self, name: str) -> object:
        """`mlsssl:NAME` of the pillar, else of the minion's configuration; None without."""
        for given in (self.pillar, self.opts):
            ours = given.get("mlsssl")
            if isinstance(ours, Mapping) and ours.get(name) is not None:
                return ours[name]
        return None

    def machine(self, given: str | None) -> str | None:
        """The file of the embedded machine, as given, else as `mlsssl:machine` says; None for this computer."""
        path = self.setting("machine") if given is None else given
        return None if path is None else check_type(path, str, "machine is the file of an embedded machine, a text")

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """The settings `mlsssl:KIND:NAME`, of an issuer or a policy, where the pillar or the configuration has them.

        `NotFoundError` when neither has.
        """
        known: set[str] = set()
        for given in (self.pillar, self.opts):
            ours = given.get("mlsssl")
            group = ours.get(kind) if isinstance(ours, Mapping) else None
            if isinstance(group, Mapping):
                known |= set(map(str, group))
                if isinstance(group.get(name), Mapping):
                    return dict(group[name])
        there = f"; there are {', '.join(sorted(known))}" if known else ""
        raise NotFoundError(f"neither the pillar nor the minion's configuration has mlsssl:{kind}:{shown(name)}{there}")

    def pillar_text(self, key: str) -> str:
        """The text at this key of the pillar, `a:b:c`; it is never shown. `NotFoundError` when there is none."""
        value: object = self.pillar
        for part in check_type(key, str, "a key of the pillar is a text such as mlsssl:certificate").split(":"):
            value = value.get(part) if isinstance(value, Mapping) else None
        if not isinstance(value, str):
            raise NotFoundError(f"this minion's pillar has no text at {shown(key)}")
        return value

    def secret(self, source: str | None, what: str) -> str | None:
        """The password that `source` names; None without.

        Raises:
            InvalidInputError: it is none of the sources; what was given is not shown, for it may be the password.
            NotFoundError: there is nothing.
            MalformedDataError, AccessDeniedError: the file cannot be read.
        """
        if source is None:
            return None
        kind, _, name = check_type(source, str, f"{what} is a text: {_SOURCES}").partition(":")
        if kind == "pillar" and name:
            return self.pillar_text(name)
        if kind == "file" and name:
            from mlsssl._commands.terminal import read_password

            return read_password(source, what)
        if source.startswith("sdb://"):
            value = self.functions["sdb.get"](source)
            if not isinstance(value, str) or value == source:
                raise NotFoundError(f"{shown(source)} has no text for {what}")
            return value
        raise InvalidInputError(
            f"{what} comes from {_SOURCES}; what was given is none of these and is not shown, for it may be the "
            "password: then it stands in the job's record now, and is to be changed"
        )

    def certificate(
        self, file: str | None, pillar: str | None, *, key: str | None, password: str | None, alias: str | None
    ) -> mlsssl.Certificate:
        """The certificate in a file of this minion, or in its pillar, with its private key."""
        secret = self.secret(password, "the password")
        if pillar is not None:
            return mlsssl.Certificate.from_text(self.pillar_text(pillar), password=secret, alias=alias)
        assert file is not None
        return mlsssl.Certificate.load(file, password=secret, key=key, alias=alias)


def option_words(options: Mapping[str, object]) -> list[str]:
    """Options of a binding as the command line writes them: `tls13=no`."""
    if not isinstance(options, Mapping):
        raise InvalidInputError("options is a mapping, such as {tls13: false}")
    words = {True: "yes", False: "no", None: ""}
    return [
        f"{name}={words[value] if value is None or isinstance(value, bool) else value}"
        for name, value in options.items()
    ]
