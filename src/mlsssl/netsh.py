"""netsh, both ways: its sslcert command lines and listings to records and back, and records as JSON.

Pure text work: nothing is run and no machine is touched, so that a fleet's dumps can be audited anywhere.
"""

from mlsssl._netsh.as_json import from_json, to_json
from mlsssl._netsh.command import NetshCommand, format_command, normalize, parse_command
from mlsssl._netsh.listing import Listing, format_listing, parse_listing
from mlsssl._netsh.script import PassedOver, Script, parse_script

__all__ = [
    "Listing",
    "NetshCommand",
    "PassedOver",
    "Script",
    "format_command",
    "format_listing",
    "from_json",
    "normalize",
    "parse_command",
    "parse_listing",
    "parse_script",
    "to_json",
]
