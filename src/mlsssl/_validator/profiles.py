"""Whose rules can judge a certificate: what a profile is, and the five profiles with their validity limits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, get_args

from mlsssl._messages.foreign_text import shown
from mlsssl._validator.catalogue import RULES
from mlsssl._validator.clients import CLIENTS
from mlsssl._validator.report import Severity
from mlsssl._validator.rules import check_code
from mlsssl.errors import InvalidInputError
from mlsssl.values import PROFILE_NAMES, Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlsssl._validator.rules import Rule
    from mlsssl.values import ClientName


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidityLimit:
    """The longest validity of certificates issued from a day on.

    Attributes:
        since: First day of issue (notBefore) on which it holds.
        days: Days at most, counted as `days_of` does.
        recommended: Days at most as a recommendation; None when the source has none.
        standard: Where it stands.
    """

    since: date
    days: int
    recommended: int | None
    standard: str


def days_of(not_before: datetime, not_after: datetime) -> int:
    """Days of validity: both ends count, a day has 86,400 s, any rest is another day (BR sections 1.6.1 and 6.3.2).

    So whole days between the two and a second are a day more; certificates have no fractions of a second.
    """
    return (not_after - not_before).days + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Whose rules judge.

    Attributes:
        name: One of `PROFILE_NAMES`, or a name of your own for a profile made with `with_severity`.
        base: The profile of the rule table that it stands on.
        summary: Whom it speaks for, one sentence.
        validity_limits: Limits in the order of their dates; the last one in force on the day of issue holds.
        accepts_common_name: Whether a name in the subject's CN counts when there is no subjectAltName.
        overrides: Code to the severity that this profile gives it instead; None leaves the rule out.
        client: The client that `for_client` made it for, or None.
        purpose: Whose certificates it judges: `"server"` or `"client"`.
    """

    name: str
    base: str
    summary: str
    validity_limits: Sequence[ValidityLimit] = ()
    accepts_common_name: bool = False
    overrides: Mapping[str, Severity | None] = field(default_factory=dict)
    client: str | None = None
    purpose: Purpose = "server"

    def severity(self, checked: Rule, issued: date) -> Severity | None:
        """How much a finding of the rule `checked` matters for a certificate of the day `issued`; None: not at all."""
        if checked.code in self.overrides:
            return self.overrides[checked.code]
        since = checked.since.get(self.base)
        if since is not None and issued < since:
            return Severity.NOTICE
        return checked.severities.get(self.base)

    def has(self, checked: Rule) -> bool:
        """Whether findings of the rule `checked` can come up at all."""
        return self.overrides.get(checked.code, checked.severities.get(self.base)) is not None

    def limit(self, issued: date) -> ValidityLimit | None:
        """The validity limit in force on the day `issued`, or None."""
        for limit in reversed(self.validity_limits):
            if issued >= limit.since:
                return limit
        return None

    def with_severity(self, name: str, /, **overrides: Severity | str | None) -> Profile:
        """A copy called `name` in which codes have other severities.

        Args:
            name: The copy's name.
            **overrides: For a code, with hyphens written as underscores, its severity; None when it is not to come up.

        Raises:
            InvalidInputError: a severity or a code that does not exist.
        """
        unknown = [code for code in overrides if code.replace("_", "-") not in RULES]
        if unknown:
            raise InvalidInputError(f"there is no finding code {unknown[0].replace('_', '-')!r} to give a severity to")
        try:
            changed = {
                check_code(code.replace("_", "-")): None if severity is None else Severity(severity)
                for code, severity in overrides.items()
            }
        except ValueError:
            wrong = ", ".join(map(shown, overrides.values()))
            raise InvalidInputError(f"a severity is error, warning, notice or None, not {wrong}") from None
        return replace(self, name=name, overrides={**self.overrides, **changed})

    def for_client(self, client: ClientName, /) -> Profile:
        """A copy that asks for one client: a report is ok exactly when it takes the certificate, as far as known.

        What the client is known to refuse is an error, whatever this profile says, and nothing else that it sees is.
        What no client looks at stays as it is here: the private key, keys that others have, revocation.

        Raises:
            InvalidInputError: there is no client of this name, or the profile is for clients' certificates.
        """
        known = CLIENTS.get(client) if isinstance(client, str) else None
        if known is None:
            raise InvalidInputError(f"a client is one of {', '.join(CLIENTS)}, not {shown(client)}")
        if self.purpose == "client":
            raise InvalidInputError(_SERVERS_ONLY)
        limits = self.validity_limits or PROFILES["private"].validity_limits
        return replace(self, client=client, validity_limits=limits, accepts_common_name=known.accepts_common_name)


_BR = "CA/Browser Forum TLS Baseline Requirements section 6.3.2"
_BR_2012 = f"{_BR} (version 1.0)"
_SC_081 = f"{_BR} (ballot SC-081v3)"

# BR 1.0 counted months: 60 of them are at most 1,827 days and 39 at most 1,188.
PUBLIC_LIMITS = (
    ValidityLimit(since=date(2012, 7, 1), days=1827, recommended=None, standard=_BR_2012),
    ValidityLimit(since=date(2015, 4, 1), days=1188, recommended=None, standard=_BR_2012),
    ValidityLimit(since=date(2018, 3, 1), days=825, recommended=None, standard=f"{_BR} (ballot 193)"),
    ValidityLimit(since=date(2020, 9, 1), days=398, recommended=397, standard=f"{_BR} (ballot SC-031)"),
    ValidityLimit(since=date(2026, 3, 15), days=200, recommended=199, standard=_SC_081),
    ValidityLimit(since=date(2027, 3, 15), days=100, recommended=99, standard=_SC_081),
    ValidityLimit(since=date(2029, 3, 15), days=47, recommended=46, standard=_SC_081),
)
# The later, shorter limits of Apple exempt roots that a user or administrator added.
_APPLE = ValidityLimit(since=date(2019, 7, 2), days=825, recommended=None, standard="Apple support article 103769")

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="procedure",
            base="procedure",
            summary="The five musts and the recommendation of the manual procedure for a self-hosted Windows service.",
            accepts_common_name=True,
        ),
        Profile(
            name="private",
            base="private",
            summary="A private certification authority, and the browsers and TLS libraries of today.",
            validity_limits=(_APPLE,),
        ),
        Profile(
            name="public",
            base="public",
            summary="A publicly trusted authority: RFC 5280 and the CA/Browser Forum's TLS Baseline Requirements.",
            validity_limits=PUBLIC_LIMITS,
        ),
        Profile(
            name="windows",
            base="windows",
            summary="What Schannel and HTTP.sys need to use the certificate on a server.",
        ),
        Profile(
            name="legacy",
            base="legacy",
            summary="Old clients that still read the common name.",
            accepts_common_name=True,
        ),
    )
}
"""The five profiles by name; `Certificate.check` takes a name, or a `Profile` of your own made from one of these."""
assert tuple(PROFILES) == PROFILE_NAMES


# What clients, browsers and public programmes ask of servers alone: names of hosts, and what stands about them.
_OF_SERVERS_ALONE = (
    "validity-too-long",
    "validity-backdated",
    "validity-above-recommended",
    "common-name-only",
    "san-missing",
    "san-without-host",
    "san-type",
    "common-name-spelling",
    "common-name-other-host",
    "common-name-not-in-san",
    "internal-name",
    "reserved-ip",
    "reverse-zone-name",
    "eku-client-auth",
    "subject-ou",
    "policies-missing",
    "aia-missing",
    "sct-missing",
)


_PURPOSES = get_args(Purpose)


def for_purpose(profile: str | Profile, purpose: Purpose) -> Profile:
    """The profile of this name, for certificates of servers or of clients.

    For a client's it leaves out what is asked of servers alone, and takes a missing extended key usage, which TLS
    servers let pass, for a warning at most; its name gets `-client` at the end.

    Raises:
        InvalidInputError: there is no profile of this name, or no such purpose.
    """
    found = find_profile(profile)
    if purpose not in _PURPOSES:
        raise InvalidInputError(f"purpose is 'server' or 'client', not {shown(purpose)}")
    if purpose == "server" or found.purpose == purpose:
        return found
    if found.client is not None:
        raise InvalidInputError(_SERVERS_ONLY)
    overrides: dict[str, Severity | None] = dict.fromkeys(_OF_SERVERS_ALONE)
    return replace(
        found,
        name=f"{found.name}-client",
        validity_limits=(),
        accepts_common_name=False,
        overrides={**overrides, "eku-missing": Severity.WARNING, **found.overrides},
        purpose=purpose,
    )


_SERVERS_ONLY = (
    "TLS clients are asked about servers' certificates only: leave out either the client or the purpose 'client'"
)


@cache
def _for_client(profile: str, client: ClientName) -> Profile:
    return PROFILES[profile].for_client(client)  # one object, for what an issuer was judged by is told by it


def find_profile(profile: str | Profile, client: ClientName | None = None) -> Profile:
    """The profile of this name, for this client; a `Profile` without a client is returned as it is.

    Raises:
        InvalidInputError: there is no profile or no client of this name.
    """
    if client is not None:
        whole = find_profile(profile)
        named = isinstance(client, str) and not isinstance(profile, Profile)
        return _for_client(whole.name, client) if named else whole.for_client(client)
    if isinstance(profile, Profile):
        return profile
    found = PROFILES.get(profile) if isinstance(profile, str) else None
    if found is None:
        raise InvalidInputError(f"a profile is one of {', '.join(PROFILES)}, or a Profile, not {shown(profile)}")
    return found
