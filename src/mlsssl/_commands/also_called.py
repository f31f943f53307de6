"""What other tools, and the neighbours among our own commands, call an option, an argument or a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Sequence

_ALSO_CALLED: tuple[tuple[str, str], ...] = (
    # commands
    ("ls show", "list"),
    ("delete del rm", "remove"),
    ("new init", "create"),
    ("verify validate", "check"),
    ("inspect view info", "show"),
    ("rollback revert", "undo"),
    ("csr", "request"),
    ("urlacl", "reservation"),
    ("sslcert", "binding"),
    # options
    ("dry-run plan what-if", "--plan --dry-run --what-if"),
    ("yes replace", "--force"),
    ("ca ca-file cafile ca-cert ca-certificate cacert root roots root-ca anchor trust-anchor trust-store", "--trust"),
    ("ca-file cafile ca-cert ca-certificate cacert", "--ca"),
    ("ca parent authority", "--issuer"),
    ("issuer authority", "--ca --adcs --acme --issuer-command"),
    ("root root-ca", "--trust-root"),
    ("ca ca-file cafile ca-bundle intermediate intermediates", "--chain"),
    ("host hosts hostname name server server-name servername sni domain domains dns san ip fqdn", "--host HOST"),
    ("name", "--friendly-name"),
    ("cn", "--common-name NAME"),
    ("common-name", "NAME"),
    ("o out output out-file outfile to", "--out --html --keep"),
    ("dir folder", "--keep"),
    ("cert-out", "--certificate-out"),
    ("in input file cert certificate cert-file certfile", "FILE --certificate --from"),
    ("csr in file", "REQUEST"),
    ("p pass passphrase pin pw pwd", "--password"),
    ("private-key key-file keyfile privkey pvk", "--key=FILE"),
    ("key-type key-size keysize bits algorithm", "--key-type --key=CHOICE"),
    ("validity valid-days valid-for lifetime", "--days"),
    ("days older-than", "--grace"),
    ("date time", "--at"),
    ("hash certhash fingerprint sha1", "--thumbprint THUMBPRINT"),
    ("ipport hostnameport binding port", "KEY"),
    ("store-name certstore certstorename", "--store STORE"),
    ("account", "--user ACCOUNT"),
    ("user", "ACCOUNT"),
    ("email mail contact acme-email", "--acme-contact"),
    ("eab-kid acme-eab-kid", "--acme-eab-id"),
    ("directory acme-directory acme-server acme-url", "--acme"),
    ("hook post-hook deploy-hook", "--after"),
    ("hours interval", "--every"),
)
"""In each row the words of others, without dashes, and ours: a command, an --option (with the kind of its value, where
options of one name differ in it) or an ARGUMENT. A command that has several of these is told with all of them."""


def commands_for(name: str, known: Collection[str]) -> list[str]:
    """Those of the `known` commands that this name of others stands for."""
    return [one for words, names in _ALSO_CALLED if name in words.split() for one in names.split() if one in known]


def hint_for(name: str, prog: str, actions: Sequence[argparse.Action]) -> str:
    """How this command has what others give by an option of this name, without dashes; empty where that is not sure."""
    told = {}  # what the table says: what a user is told to write
    places = []
    for action in actions:
        if action.option_strings:
            option = action.option_strings[-1]
            kind = action.metavar or ("CHOICE" if action.choices else "TEXT")
            told.update({option: option, f"{option}={kind}": option})
        else:
            places.append(str(action.metavar or action.dest))
    line = " ".join([prog, *places])
    for place in places:  # FILE.pfx and FILE|HOST:PORT|URL are FILE too
        told.update({one.partition(".")[0].upper(): "" for one in place.split("|")})
    found = [name.upper()] if name.upper() in told else commands_for(name, told)
    options = " or ".join(dict.fromkeys(told[one] for one in found if told[one]))
    if options:
        return f"; did you mean {options}?"
    return f"; {found[0]} is given without an option: {line}" if found else ""
