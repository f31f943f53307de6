"""The five profiles: whose rules can judge a certificate, and the validity limits that come with them."""

from __future__ import annotations

from datetime import date

from mlsssl._messages.foreign_text import shown
from mlsssl._validator.rules import PROFILE_NAMES, Profile, ValidityLimit
from mlsssl.errors import InvalidInputError

__all__ = ["PROFILES", "find_profile"]

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
APPLE_LIMITS = (
    ValidityLimit(since=date(2019, 7, 2), days=825, recommended=None, standard="Apple support article 103769"),
)

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
            validity_limits=APPLE_LIMITS,
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


def find_profile(profile: str | Profile) -> Profile:
    """The profile of this name; a `Profile` is returned as it is.

    Raises:
        InvalidInputError: there is no profile of this name.
    """
    if isinstance(profile, Profile):
        return profile
    found = PROFILES.get(profile) if isinstance(profile, str) else None
    if found is None:
        raise InvalidInputError(f"a profile is one of {', '.join(PROFILES)}, or a Profile, not {shown(profile)}")
    return found
