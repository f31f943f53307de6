"""What the library's messages say to do, in the command line's words: `mlsssl issue` in place of `ca.issue(...)`."""

from __future__ import annotations

import re

_COMMANDS = {
    "issue": "mlsssl issue",
    "issue_client": "mlsssl ca issue-client",
    "create": "mlsssl ca create",
    "create_request": "mlsssl request create",
    "create_intermediate": "mlsssl ca create --issuer FILE",
    "crl": "mlsssl ca crl",
    "check": "mlsssl check",
    "load": "mlsssl show",
    "save": "mlsssl pfx --out",
    "deploy": "mlsssl deploy",
    "renew": "mlsssl renew",
    "renew_due": "mlsssl renew --all --due",
    "recover": "mlsssl recover",
    "parse_listing": "mlsssl audit --listing FILE",
    "write_files": "mlsssl pfx --out HOST.pfx",
    "add": "mlsssl store add FILE",
    "import_pfx": "mlsssl store import",
    "add_crl": "mlsssl store add-crl",
    "remove_crl": "mlsssl store remove-crl",
    "with_chain": "in its file",
    "BindingOptions": "",
}
# Every piece is bounded, for names that strangers chose stand in messages too.
_ARGUMENT = (
    r"\b(trust|crls|chain|key|days|common_name|path_length|crl_url|readable_by|profile|on_conflict|restart|store|ports|"
    r"exportable|no_password|alias|ca_alias|issuer_alias|overwrite|any_issuer|everywhere|hooks|key_access|abandon|tls12|tls13|ctl_identifier|ctl_store_name)="
    r"""(\[[^\]]{0,80}\]|\{[^}]{0,80}\}|"[^"]{0,80}"|'[^']{0,300}'|\w{1,80}|\.\.\.)"""
)
_CALL = r"(\.)?\b(?:Store\.open\('(\w{1,80})'\)\.|[A-Za-z]{1,80}\.)?(\w{1,80})\(((?:[^()]|\([^()]{0,80}\)){0,200})\)"
_SUCCESSOR = r"\bca\.renew\(([^()]{0,80})\)"
_STORE = r"Store\.open\('(\w{1,80})'\)"
_PHRASES = {
    "AcmeIssuer(agree_terms=True)": "--acme-agree-terms",
    "AcmeIssuer(external_account=(identifier, key))": "--acme-eab-id ID --acme-eab-key file:KEY",
    "external_account is a key identifier and an HMAC key in base64url, two texts": "--acme-eab-key names where the "
    "HMAC key is, which is base64url, and --acme-eab-id is its identifier",
    "host is the name or the list of names that the certificate is for: host=": "--host is a name that the certificate "
    "is for, and may be given again: --host ",
    "key_type, reuse_key and days are for an authority; ": "--key and --days are for --ca; ",
    "reuse_key and days are for an authority; ": "--days is for --ca; ",
    "Certificate.load of the .pfx, or with_key": "the .pfx, or the .cer and --key FILE",
    "UrlReservation.get(url).with_user(account).update()": "mlsssl reservation update URL --user ACCOUNT",
    "make the request here (CertificateRequest.create)": "make the request here (mlsssl request create)",
    "ACME has external_account for it": "ACME has --acme-eab-id and --acme-eab-key for it",
    ", whose bytes to_der() gives": "",
    "Certificate.load reads a file, Store.find(host=...) looks for a name": "'mlsssl deploy' takes a file, "
    "'mlsssl store list' shows thumbprints",
    "Store.open('MY')[thumbprint].certificate has it": "'mlsssl store list' shows a store's certificates, "
    "'mlsssl store export MY --out FILE' writes them to a file, and 'mlsssl deploy' takes --thumbprint",
    "CertificateRequest.create(": "create_request(",
    "(MLSSSL_MACHINE, EmbeddedMachine(path))": "(MLSSSL_MACHINE, or --machine FILE)",
    "; Windows makes one when it is first opened with create=True": "",
    "(remove_crl)": "(mlsssl store remove-crl)",
    "give it longer (timeout)": "give it longer (--acme-timeout)",
    "password_env names a variable with it": "--after-password env:NAME, of a variable that has it",
    "AcmeIssuer(trust='root.pem')": "--acme-trust root.pem",
    "wait is a number of seconds": "--acme-dns-wait is a number of seconds",
    "a ChallengeSolver of that kind": "--acme-webroot, --acme-listen or --acme-http-sys (http-01), "
    "--acme-dns-hook (dns-01) or --acme-tls-alpn (tls-alpn-01)",
    "let that one serve a folder (WebrootChallenge), or share HTTP.sys' port with it (HttpSysChallenge)": "let that "
    "one serve a folder: --acme-webroot FOLDER; or share HTTP.sys' port with it: --acme-http-sys",
    "let that program serve the answers from a folder instead (WebrootChallenge)": "let that program serve the answers "
    "from a folder instead: --acme-webroot FOLDER",
}
_WORDS = {"True": "yes", "False": "no", "None": ""}
_OPTIONS = {"request_id": "adcs_request_id"}
_QUOTES = "\"'"
_NAME = r"\b(app_id|trust_root|path_length|organizational_unit|issued_by|request_id|reuse_key|key_type)\b(?!: )"

# The arguments with which errors about their values begin.
_SUBJECT = r"^(?:days|number|country|fraction|jitter|readable_by|minimum_rsa_bits|on_conflict)(?= is )"
_NONE = r"(?<= is )None or |, or None(?=[;,]|$)"


def in_commands(text: str) -> str:
    """A message for somebody at the command line: calls of Python become commands, and their arguments options."""
    for phrase, words in _PHRASES.items():
        text = text.replace(phrase, words)
    text = re.sub(_SUCCESSOR, "mlsssl ca renew", text)
    text = re.sub(_STORE, r"the store \1", re.sub(_CALL, _command, re.sub(_ARGUMENT, _option, text)))
    text = re.sub(_SUBJECT, lambda name: f"--{name[0].replace('_', '-')}", re.sub(_NONE, "", text))
    return re.sub(_NAME, lambda name: f"--{_OPTIONS.get(name[0], name[0]).replace('_', '-')}", text)


_FIELDS = {"message", "remedy", "found", "to_do"}


def fields_in_commands(value: object) -> object:
    """The same JSON, whose fields for people are in the command line's words."""
    if isinstance(value, dict):
        return {
            name: _all_in_commands(one) if name in _FIELDS else fields_in_commands(one) for name, one in value.items()
        }
    return [fields_in_commands(one) for one in value] if isinstance(value, list) else value


def _all_in_commands(value: object) -> object:
    if isinstance(value, list):
        return [_all_in_commands(one) for one in value]
    return in_commands(value) if isinstance(value, str) else value


def _option(argument: re.Match[str]) -> str:
    name, value = argument.groups()
    if name == "chain":
        return "in its file"
    if name == "ports":
        return f"--port {value[1:-1].replace(': ', '=')}"
    if name == "hooks":
        return "--after STEP"
    if name.startswith(("tls", "ctl")):
        return f"--option {name}={_WORDS.get(value, value)}"
    option = f"--{'crl' if name == 'crls' else name.replace('_', '-')}"
    if value == "True":
        return option
    if value[0] == "[":
        return f"{option} {'SERVICE' if name == 'restart' else 'FILE'}"
    return f"{option} {value.strip(_QUOTES) or repr('')}"


def _command(call: re.Match[str]) -> str:
    dot, store, name, arguments = call.groups()
    if name not in _COMMANDS:
        return call[0]
    words = [_COMMANDS[name]]
    if name != "with_chain":
        given = arguments.split(", ")
        words += [word if " " in word else word[1:-1] for word in given if word[:1] in ("'", '"')]
        words += [word for word in given if word.startswith("--")]
    if store is not None and (name, store) not in (("add", "MY"), ("import_pfx", "MY"), ("add_crl", "CA")):
        words.append(f"--store {store}")
    return f"{' and ' if dot else ''}{' '.join(word for word in words if word)}"
