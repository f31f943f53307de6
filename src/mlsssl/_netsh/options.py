"""The parameters of `netsh http add sslcert` and the fields of `BindingOptions` that they stand for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from mlsssl._formats.binding_keys import BindingOptions


@dataclass(frozen=True, slots=True)
class Switch:
    """A parameter that is `enable` or `disable`, its field of `BindingOptions`, and its label in an English listing."""

    parameter: str
    field: str
    inverted: bool  # `enable` means False, as in `disablehttp2=enable`
    label: str


# In the order of `netsh http add sslcert` help and of the listing; Microsoft's documentation of "netsh http" and the
# help text of Windows Server 2019 and 2025.
SWITCHES = (
    Switch("verifyclientcertrevocation", "verify_client_revocation", False, "Verify Client Certificate Revocation"),
    Switch(
        "verifyrevocationwithcachedclientcertonly",
        "cached_client_revocation_only",
        False,
        "Verify Revocation Using Cached Client Certificate Only",
    ),
    Switch("usagecheck", "check_client_usage", False, "Usage Check"),
    Switch("dsmapperusage", "map_client_certificates", False, "DS Mapper Usage"),
    Switch("clientcertnegotiation", "negotiate_client_certificate", False, "Negotiate Client Certificate"),
    Switch("reject", "reject_connections", False, "Reject Connections"),
    Switch("disablehttp2", "http2", True, "Disable HTTP2"),
    Switch("disablequic", "quic", True, "Disable QUIC"),
    Switch("disabletls12", "tls12", True, "Disable TLS1.2"),
    Switch("disabletls13", "tls13", True, "Disable TLS1.3"),
    Switch("disableocspstapling", "ocsp_stapling", True, "Disable OCSP Stapling"),
    Switch("enabletokenbinding", "token_binding", False, "Enable Token Binding"),
    Switch("logextendedevents", "log_extended_events", False, "Log Extended Events"),
    Switch("disablelegacytls", "legacy_tls", True, "Disable Legacy TLS Versions"),
    Switch("enablesessionticket", "session_tickets", False, "Enable Session Ticket"),
    Switch("disablesessionid", "session_id", True, "Disable Session ID"),
)
SWITCHES_BY_PARAMETER = {switch.parameter: switch for switch in SWITCHES}

TIME_UNITS = {"revocation_freshness_time": timedelta(seconds=1), "url_retrieval_timeout": timedelta(milliseconds=1)}
"""The unit of each option that is a time, for text: what Windows keeps it in."""

# Bits that a listing shows or a record holds, but that no parameter sets: field, value when not set.
WITHOUT_PARAMETER: tuple[tuple[str, object], ...] = (
    ("cached_urls_only", False),
    ("retrieve_client_issuers", True),
    ("raw_filter", True),
    ("client_correlation", False),
    ("cache_client_hello", False),
    ("unknown_flags", 0),
    ("unknown_check_modes", 0),
)


def changed_options(options: BindingOptions) -> dict[str, Any]:
    """What differs from the defaults, by the field's name; times as whole numbers."""
    default, changed = BindingOptions(), {}
    for one in fields(options):
        value = getattr(options, one.name)
        if value != getattr(default, one.name):
            changed[one.name] = value // TIME_UNITS[one.name] if one.name in TIME_UNITS else value
    return changed
