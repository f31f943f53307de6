"""The signing side of a fleet: what a policy gives to a minion whose id Salt's master vouches for.

A request gives its public key and, of the names that are its minion's anyway, those it wants. Everything else is the
policy's, which stands in the settings `mlsssl:policies:NAME` of the signing minion (its pillar, its configuration) or
of the master. The names of a minion come from there, from its id, and from what the master compiles or keeps for that
id; never from what the caller says.
"""

from __future__ import annotations

import fnmatch
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, get_args

import mlsssl
from mlsssl._deploy.first import first_names
from mlsssl._formats.hosts import name_text, parse_name, parse_subtree
from mlsssl._formats.keys import key_type_name
from mlsssl._issue import lifetimes
from mlsssl._machine import files
from mlsssl._messages.arguments import check_mapping, check_type, check_whole, items_of
from mlsssl._messages.foreign_text import clean_logger, shown
from mlsssl._validator.name_constraints import subtree_within
from mlsssl.authority import sign_honoured
from mlsssl.errors import InvalidInputError, MlssslError, NotFoundError
from mlsssl.values import KeyType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from mlsssl.saltext._settings import Surroundings

NAMES_IN_PILLAR = "mlsssl:names"
"""Where a minion's pillar lists its names, for a policy with `pillar: true`. One place: nothing else is told."""

_LIMIT = 64 * 1024
"""Characters of a request; one with a hundred names has some ten thousand."""

_DAYS = 199
"""As `CertificateAuthority.issue` has it."""

_authorities: dict[tuple[object, ...], mlsssl.CertificateAuthority] = {}
"""Those that were read, by file and its state then: a password's key derivation takes longer than signing."""


class Master(Protocol):
    """What the master knows of a minion by its id."""

    def matches(self, expression: str, minion: str) -> bool:
        """Whether a compound expression matches it."""

    def names(self, minion: str, grain: str | None) -> dict[str, list[str]]:
        """`pillar`: the list at `mlsssl:names` of its pillar; `grain`: the values of that grain, which it chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is signed for whom; the settings of `mlsssl:policies:NAME`.

    Attributes:
        ca: The authority's file on the signing side; beside it `ca_key`, `ca_password` (where it is, as everywhere
            here), `ca_alias` and `crl_url`.
        minions: Who may ask: a glob of ids, several in a list, or one compound expression (with `@` in it).
        names: The names of every such minion; `{id}` stands for its id.
        names_of: More names by minion id.
        pillar: Whether the names at `mlsssl:names` in the minion's own pillar are its names too.
        grain: A grain that has names too. A minion chooses its grains, so `within` bounds what it can be given.
        within: The domains and networks in which the names of `grain` have to lie.
        days: Validity, 1 to 824.
        key_types: The types of key that are signed for.
    """

    ca: str
    minions: tuple[str, ...]
    ca_key: str | None = None
    ca_password: str | None = None
    ca_alias: str | None = None
    crl_url: str | None = None
    names: tuple[str, ...] = ()
    names_of: Mapping[str, tuple[str, ...]]
    pillar: bool = False
    grain: str | None = None
    within: tuple[str, ...] = ()
    days: int = _DAYS
    key_types: tuple[str, ...] = get_args(KeyType)

    @classmethod
    def read(cls, name: str, settings: Mapping[str, Any]) -> Policy:
        """The policy that these settings are. `InvalidInputError` for settings that are none."""
        what = f"the policy {shown(name)}"
        unknown = sorted(set(settings) - set(cls.__slots__))
        if unknown:
            raise InvalidInputError(f"{what} has settings that are none: {', '.join(map(shown, unknown))}")
        given = dict(settings)
        minions = given.pop("minions", None)
        if minions is None or given.get("ca") is None:
            raise InvalidInputError(f"{what} needs ca, the authority's file, and minions, who may ask: '*' for all")
        given["minions"] = _texts([minions] if isinstance(minions, str) else minions, f"{what}: minions")
        for several in ("names", "within", "key_types"):
            if several in given:
                given[several] = _texts(given[several], f"{what}: {several}")
        others = check_mapping(given.pop("names_of", {}), f"{what}: names_of is a mapping of ids to lists of names")
        given["names_of"] = {one: _texts(names, f"{what}: names_of") for one, names in others.items()}
        for text in ("ca", "ca_key", "ca_password", "ca_alias", "crl_url", "grain"):
            if given.get(text) is not None:
                check_type(given[text], str, f"{what}: {text} is a text")
        check_type(given.get("pillar", False), bool, f"{what}: pillar is true or false")
        check_whole(given.get("days", _DAYS), 1, 824, f"{what}: days is a number from 1 to 824")
        wrong = sorted(set(given.get("key_types", ())) - set(get_args(KeyType)))
        if wrong:
            raise InvalidInputError(f"{what}: {shown(wrong[0])} is no type of key: {', '.join(get_args(KeyType))}")
        if (given.get("grain") is None) != (not given.get("within")):
            raise InvalidInputError(
                f"{what}: grain and within go together, for a minion chooses its grains: within says in which domains "
                "and networks what it claims may lie"
            )
        for tree in given.get("within", ()):
            parse_subtree(tree)
        return cls(**given)

    def admits(self, minion: str, master: Master) -> bool:
        """Whether this minion may ask."""
        return any(
            master.matches(one, minion) if "@" in one else fnmatch.fnmatchcase(minion, one) for one in self.minions
        )

    def names_for(self, minion: str, master: Master) -> tuple[str, ...]:
        """The names of this minion, as a certificate has them. `InvalidInputError` for one that is no host name."""
        own = [one.replace("{id}", minion) for one in (*self.names, *self.names_of.get(minion, ()))]
        if self.pillar or self.grain is not None:
            known = master.names(minion, self.grain)
            own += known["pillar"] if self.pillar else []
            own += [one for one in known["grain"] if self._is_within(one)]
        return first_names(own)

    def _is_within(self, name: str) -> bool:
        """Whether what the minion claims by a grain is a name that lies where it may; no wildcard does."""
        try:
            parse_name(name)
            tree = parse_subtree(name)
        except InvalidInputError:
            return False
        return any(subtree_within(tree, parse_subtree(one)) for one in self.within)

    def authority(self, around: Surroundings) -> mlsssl.CertificateAuthority:
        """The authority; read again when its file was changed. Errors as `CertificateAuthority.load`."""
        paths = [files.path_of(one) for one in (self.ca, self.ca_key) if one is not None]
        key = (*paths, *map(_state, paths), self.ca_alias, self.crl_url)
        found = _authorities.get(key)
        if found is None:
            found = mlsssl.CertificateAuthority.load(
                self.ca,
                key=self.ca_key,
                password=around.secret(self.ca_password, "the password of the authority"),
                alias=self.ca_alias,
                crl_url=self.crl_url,
            )
            _authorities.clear()
            _authorities[key] = found
        return found


def answer(around: Surroundings, master: Master, policy: object, request: object, minion: str) -> dict[str, object]:
    """What the signing side says to a request from this minion: `certificate` (PEM, with its chain) or `refused`.

    Nothing is raised. What is wrong on this side is logged here, and the caller told that it is.

    Args:
        around: The settings of the signing side.
        master: What is known of the minion.
        policy: Its name, as the caller gave it.
        request: PEM, as the caller gave it.
        minion: The id that Salt's master vouches for.
    """
    logger = clean_logger("mlsssl")
    try:
        refused, certificate = _signed(around, master, policy, request, minion)
    except MlssslError as error:
        logger.error("the request of minion %s under policy %s was not answered: %s", minion, shown(policy), error)
        return {"refused": "the signing side could not answer; its log says why"}
    if certificate is None:
        logger.warning("the request of minion %s under policy %s was refused: %s", minion, shown(policy), refused)
        return {"refused": refused}
    if logger.isEnabledFor(logging.INFO):
        names = ", ".join(certificate.names)
        logger.info("signed for minion %s under policy %s: %s, %s", minion, policy, certificate.thumbprint, names)
    return {"certificate": certificate.to_pem(chain=True).decode("ascii")}


def _signed(
    around: Surroundings, master: Master, policy: object, request: object, minion: str
) -> tuple[str, mlsssl.Certificate | None]:
    """Why it is refused, or the certificate."""
    if not isinstance(policy, str) or not isinstance(request, str):
        return "a request is the name of a policy and a request as PEM, two texts", None
    try:
        rules = Policy.read(policy, around.named("policies", policy))
    except NotFoundError:
        rules = None
    if rules is None or not rules.admits(minion, master):
        return f"there is no policy {shown(policy)} that {minion} may use", None
    if len(request) > _LIMIT:
        return f"a request has at most {_LIMIT} characters", None
    try:
        honoured = mlsssl.CertificateRequest.from_bytes(request).honoured_by(mlsssl.RequestPolicy())
    except MlssslError as error:
        return str(error), None
    names, key_type = [*map(name_text, honoured.names)], key_type_name(honoured.public_key)
    if key_type not in rules.key_types:
        return f"the request's key is {key_type}; this policy is for {', '.join(rules.key_types)}", None
    own = rules.names_for(minion, master)
    strange = [name for name in names if name not in own]
    if strange:
        return f"{', '.join(strange)}: not among the names of {minion}, which are {', '.join(own) or 'none'}", None
    with lifetimes.noted() as notes:
        certificate = sign_honoured(rules.authority(around), honoured, rules.days)
    for note in notes:
        clean_logger("mlsssl").warning("%s", note)
    return "", certificate


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:  # reading it says why
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _texts(values: Iterable[Any], what: str) -> tuple[str, ...]:
    expected = f"{what} is a list of texts"
    return tuple(check_type(one, str, expected) for one in items_of(values, expected))


@dataclass(frozen=True, slots=True)
class AskedMaster:
    """The master, asked by a signing minion as peer runs, which the master's `peer_run` lets it alone."""

    functions: Mapping[str, Callable[..., Any]]

    def matches(self, expression: str, minion: str) -> bool:
        """By the runner `match.compound_matches`."""
        found = self._run("match.compound_matches", [expression, minion])
        return bool(found.get("res") == minion)

    def names(self, minion: str, grain: str | None) -> dict[str, list[str]]:
        """By the runner `mlsssl_ca.names`."""
        found = self._run("mlsssl_ca.names", [minion, grain])
        return {
            kind: list(_texts(found.get(kind, ()), "what the master says of names")) for kind in ("pillar", "grain")
        }

    def _run(self, runner: str, arguments: list[object]) -> dict[str, Any]:
        found = self.functions["publish.runner"](runner, arg=arguments)
        if not isinstance(found, dict) or not found:
            raise InvalidInputError(
                f"the master did not answer {runner}; its configuration has to let this minion run it: peer_run"
            )
        return found


def caller(policy: object, request: object, published: Mapping[str, Any]) -> str | None:
    """The id of the minion that had this function published, as the master told this minion; None when it did not.

    Salt's minion hands a function with `**kwargs` what the master published, under `__pub_...`: `__pub_id` is the id
    that the master has authenticated the caller by, and is there when a minion called. It would take such a name from
    the caller's own arguments where the master says nothing, below a syndic for example. Therefore the arguments that
    were published have to be the two positional ones, and nothing else.
    """
    minion = published.get("__pub_id")
    as_called = published.get("__pub_arg") == [policy, request]
    alone = published.get("__pub_fun") == "mlsssl_ca.sign_request"
    return minion if isinstance(minion, str) and minion and as_called and alone else None
