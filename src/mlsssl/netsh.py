"""netsh, both ways: its sslcert and urlacl command lines and listings to records and back, and records as JSON.

Pure text work: nothing is run and no machine is touched, so that a fleet's dumps can be audited anywhere.
"""

from mlsssl._netsh.as_json import from_json, to_json
from mlsssl._netsh.command import NetshCommand, format_command, normalize, parse_command
from mlsssl._netsh.http_command import HttpCommand, format_http_command, parse_http_command
from mlsssl._netsh.listing import Listing, format_listing, parse_listing
from mlsssl._netsh.script import PassedOver, Script, parse_script
from mlsssl._netsh.urlacl_listing import UrlaclListing, format_urlacl_listing, parse_urlacl_listing

__all__ = [
    "HttpCommand",
    "Listing",
    "NetshCommand",
    "PassedOver",
    "Script",
    "UrlaclListing",
    "format_command",
    "format_http_command",
    "format_listing",
    "format_urlacl_listing",
    "from_json",
    "normalize",
    "parse_command",
    "parse_http_command",
    "parse_listing",
    "parse_script",
    "parse_urlacl_listing",
    "to_json",
]
