"""Public suffixes: domains under which strangers register names.

The whole list changes weekly and belongs to a library that follows it: where `publicsuffixlist` is installed (the
extra `mlsssl[publicsuffix]`), it decides. Without it a short, documented rule of thumb does: one label; a
two-letter country with one of the customary second levels (`co.uk`, `com.au`); and the well-known hosting suffixes
below. It errs towards "not a suffix".
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable


_SECOND_LEVELS = frozenset(
    {"ac", "asn", "biz", "co", "com", "ed", "edu", "firm", "gen", "go", "gob", "gouv", "gov", "govt", "gv", "id", "ind"}
    | {"info", "ltd", "me", "mil", "muni", "ne", "net", "nhs", "nic", "nom", "or", "org", "plc", "police", "res", "sch"}
)
# Domains of the list's private section whose operators give names to customers.
_HOSTING = frozenset(
    {
        "amplifyapp.com",
        "appspot.com",
        "azurewebsites.net",
        "blogspot.com",
        "cloudapp.net",
        "cloudfront.net",
        "duckdns.org",
        "elasticbeanstalk.com",
        "elb.amazonaws.com",
        "firebaseapp.com",
        "fly.dev",
        "github.io",
        "gitlab.io",
        "herokuapp.com",
        "myshopify.com",
        "netlify.app",
        "ngrok.io",
        "no-ip.org",
        "onrender.com",
        "pages.dev",
        "s3.amazonaws.com",
        "trafficmanager.net",
        "vercel.app",
        "web.app",
        "windows.net",
        "workers.dev",
    }
)


@functools.lru_cache(maxsize=1)
def _listed() -> Callable[[str], str | None] | None:
    """The library's look-up of a name's public suffix, or None when it is not installed."""
    try:
        from publicsuffixlist import PublicSuffixList  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    return cast("Callable[[str], str | None]", PublicSuffixList().publicsuffix)


def is_public_suffix(domain: str) -> bool:
    """Whether names directly below `domain` (lower case, A-labels) belong to strangers."""
    labels = domain.split(".")
    if len(labels) < 2:
        return True
    listed = _listed()
    if listed is not None:
        return listed(domain) == domain
    if len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVELS:
        return True
    return domain in _HOSTING
