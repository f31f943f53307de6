"""What is in a PFX and who can read it, without importing it anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mlsssl._formats.budget import SHA3, WorkBudget
from mlsssl._formats.choice import choose
from mlsssl._formats.foreign import name_text
from mlsssl._formats.pkcs12.encryption import Encryption, check_password
from mlsssl._formats.pkcs12.read import bags_of, holdings, open_safes
from mlsssl._formats.pkcs12.structure import read_structure
from mlsssl._formats.pkcs12.targets import TARGETS, Feature, is_plain
from mlsssl._formats.sniff import Kind, recognise
from mlsssl._messages.arguments import check_data
from mlsssl._messages.foreign_text import printable, shown
from mlsssl._messages.output import as_dict
from mlsssl.errors import InvalidInputError, MalformedDataError, WrongPasswordError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from mlsssl._formats.choice import Choice
    from mlsssl._formats.pkcs12.structure import Bag, Safe, Structure
    from mlsssl._formats.pkcs12.targets import Target
    from mlsssl._notebook.cards import Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class PfxBag:
    """One bag: a key, a certificate, or something else.

    Attributes:
        kind: `key`, `encrypted key`, `certificate`, `revocation list`, `secret` or `other`.
        friendly_name: Its name, or None.
        encryption: Of an encrypted key, in words; else None.
        provider: The key storage provider that Windows is to use, or None.
        machine_keyset: Whether Windows is asked to put the key among the machine's.
    """

    kind: str
    friendly_name: str | None
    encryption: str | None
    provider: str | None
    machine_keyset: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PfxPart:
    """One part of a PFX, encrypted as a whole or not at all.

    Attributes:
        encryption: In words, or None when it lies open.
        bags: What is in it; None when it could not be opened.
    """

    encryption: str | None
    bags: tuple[PfxBag, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PfxReader:
    """Whether one system reads the file.

    Attributes:
        name: The name that `readable_by` takes.
        title: What people call it.
        reads: True, False, or None when it is not known.
        reason: What stands in the way, and what the system says; empty when nothing does.
    """

    name: str
    title: str
    reads: bool | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PfxExplanation:
    """What `explain_pfx` found; `str` renders it for people.

    Attributes:
        size: Bytes of the PFX itself, without what is wrapped around it or stands behind its end.
        mac: The MAC in words, or None when there is none.
        parts: In the order of the file.
        iterations: The iteration counts found, MAC first.
        password: `right`, `wrong`, `not needed` (anyone can read everything), `not given`, or `unknown` (the file
            has something that this library does not read).
        key: The private key in words, such as `RSA, 2048 bits`, or None.
        certificates: The subjects, the key's own certificate first.
        findings: What a person should know: weak ciphers, several keys, a chain that is not in order, and so on.
        readers: Every known system.
    """

    size: int
    mac: str | None
    parts: tuple[PfxPart, ...]
    iterations: tuple[int, ...]
    password: Literal["right", "wrong", "not needed", "not given", "unknown"]
    key: str | None
    certificates: tuple[str, ...]
    findings: tuple[str, ...]
    readers: tuple[PfxReader, ...]

    def readable_by(self, name: str) -> bool | None:
        """Whether the system of this name reads the file; None when it is not known.

        Raises:
            InvalidInputError: there is no such name; the message lists all.
        """
        for reader in self.readers:
            if reader.name == name:
                return reader.reads
        known = ", ".join(reader.name for reader in self.readers)
        raise InvalidInputError(f"a system is one of {known}; not {shown(name)}")

    def __str__(self) -> str:
        lines = [f"PFX (PKCS#12), {self.size} bytes", f"MAC: {self.mac or 'none'}", f"password: {self.password}"]
        for index, part in enumerate(self.parts, 1):
            lines.append(f"part {index}: {part.encryption or 'not encrypted'}")
            lines += [f"  {_describe(bag)}" for bag in part.bags or ()]
            if part.bags is None:
                lines.append("  closed without the password")
        if self.key:
            lines.append(f"private key: {self.key}")
        lines += [f"certificate: {subject}" for subject in self.certificates]
        lines += [f"note: {finding}" for finding in self.findings]
        for word, verdict in (("read by", True), ("not read by", False), ("not known", None)):
            titles = [
                reader.title + (f": {reader.reason}" if reader.reason else "")
                for reader in self.readers
                if reader.reads is verdict
            ]
            if titles:
                lines += [f"{word}:", *(f"  {title}" for title in titles)]
        return "\n".join(map(printable, lines))

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import card, facts, faint, part, second_line, sign, table, text

        verdicts = {
            True: sign("ok", "reads it"),
            False: sign("over", "does not read it"),
            None: sign("note", "not known"),
        }
        tones: dict[str, Tone] = {"right": "ok", "wrong": "over"}
        rows = [
            ("password", sign(tones.get(self.password, "note"), self.password)),
            ("private key", text(self.key or "")),
            ("certificates", "<br>".join(map(text, self.certificates))),
            ("MAC", text(self.mac or "none")),
            ("notes", "<br>".join(sign("soon", one) for one in self.findings)),
        ]
        parts = [
            [
                text(one.encryption or "not encrypted"),
                faint("closed without the password")
                if one.bags is None
                else "<br>".join(text(_describe(bag)) for bag in one.bags),
            ]
            for one in self.parts
        ]
        readers = [[text(one.title), f"{verdicts[one.reads]}{second_line(one.reason)}"] for one in self.readers]
        return card(
            f"PFX (PKCS#12), {self.size} bytes",
            facts(rows),
            part("parts", table(("encryption", "what is in it"), parts, empty="none")),
            part("who reads it", table(("system", "verdict"), readers, empty="none")),
        )

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON: every attribute by its name, those of parts, bags and readers too."""
        return as_dict(self)


def _describe(bag: PfxBag) -> str:
    words = [bag.kind]
    if bag.friendly_name:
        words.append(f"named {bag.friendly_name!r}")
    if bag.encryption:
        words.append(f"by {bag.encryption}")
    if bag.provider:
        words.append(f"for the provider {bag.provider!r}")
    if bag.machine_keyset:
        words.append("for the machine's keys")
    return ", ".join(words)


def explain_pfx(data: bytes, password: str | None = None, *, alias: str | None = None) -> PfxExplanation:
    """Take a PFX apart and say what is in it, how it is protected and who can read it. Nothing is imported.

    Args:
        data: The whole file; base64 and the like around a PFX, and bytes behind its end, are findings.
        password: Opens what is encrypted. With None, what lies open is explained, and whether the password is
            simply empty. A wrong password is no error here but a finding.
        alias: Of several private keys, whose `key` and `certificates` to tell, as in `Certificate.load`; the first's
            when not given.

    Raises:
        NotFoundError: the file could be opened, and nothing in it has this alias.
        InvalidInputError: no bytes; or the password contains NUL or half a surrogate pair.
        MalformedDataError: no PFX, and the message says what it is instead; or damaged. Iteration counts that cost too
            much are a finding, too.
    """
    data = check_data(data, "the bytes of a PFX are needed (Path.read_bytes reads a file)")
    check_password(password)
    pfx, around = _unwrapped(data)
    structure = read_structure(pfx)
    budget = WorkBudget()
    verdict, safes, main, troubles = _try(structure, password, budget, alias)
    parts = tuple(_part(safe) for safe in safes)
    findings = [*troubles, *around, *_weaknesses(structure, safes), *_holdings(main)]
    certificates = [] if main is None else [main.certificate, *main.others]
    features = _features(structure, safes)
    foreign = verdict == "right" and password is not None and not is_plain(password)
    return PfxExplanation(
        size=len(pfx),
        mac=str(structure.mac) if structure.mac else None,
        parts=parts,
        iterations=tuple(_iterations(structure, safes)),
        password=verdict,
        key=_describe_key(main.private_key) if main and main.private_key else None,
        certificates=tuple(name_text(c.subject) or "(empty subject)" for c in certificates if c is not None),
        findings=tuple(findings),
        readers=tuple(_reader(target, features, foreign=foreign) for target in TARGETS.values()),
    )


def _unwrapped(data: bytes) -> tuple[bytes, list[str]]:
    """The PFX itself, and what is to be said about the rest of the file."""
    try:
        recognised = recognise(data)
    except MalformedDataError as error:
        raise MalformedDataError(f"this is no PFX: {error}") from None
    found = recognised.of(Kind.PFX)
    if not found:
        raise MalformedDataError(f"this is no PFX but {recognised}; Certificate.load(...) reads it")
    around = []
    if recognised.wrappings:
        around.append(f"it is wrapped in {', '.join(recognised.wrappings)}, which few programs read")
    if len(recognised.items) > 1:
        around.append(f"the file holds {recognised}; the first PFX is told of here")
    trailing = found[0].trailing if recognised.wrappings else len(data) - len(found[0].data)
    if trailing and len(recognised.items) == 1:
        what = "1 byte stands" if trailing == 1 else f"{trailing} bytes stand"
        around.append(
            f"{what} behind its end, as where a shorter file was written over a longer one; the first "
            f"{len(found[0].data)} bytes are the PFX"
        )
    return found[0].data, around


def readers_from_outside(data: bytes) -> tuple[PfxReader, ...]:
    """Every known system, judged by what can be seen of a PFX without its password, and without any work on one.

    `MalformedDataError` when it is no PFX. What lies inside an encrypted part is not seen; keys lie outside as a rule.
    """
    structure = read_structure(data)
    features = _features(structure, structure.safes)
    return tuple(_reader(target, features, foreign=False) for target in TARGETS.values())


_Verdict = Literal["right", "wrong", "not needed", "not given", "unknown"]


def _try(
    structure: Structure, password: str | None, budget: WorkBudget, alias: str | None
) -> tuple[_Verdict, Sequence[Safe], Choice | None, list[str]]:
    """What the password does, the safes as far as it opens them, what is taken of them, and what is wrong."""
    protected = any(safe.encryption for safe in structure.safes) or any(bag.encryption for bag in structure.bags)
    try:
        safes = open_safes(structure, password, budget)
        certificates, keys, unread = holdings(structure, safes, password, budget)
        if unread and not keys:
            raise unread[0]
    except WrongPasswordError as error:
        if password is None:
            return "not given", structure.safes, None, []
        return "wrong", structure.safes, None, [str(error)]
    except MalformedDataError as error:
        return "unknown", structure.safes, None, [str(error)]
    troubles = []
    try:
        main = choose(certificates, keys, alias=alias, unread=unread)
    except MalformedDataError as error:  # several keys, and no alias to choose by
        main = choose(certificates, keys[:1], unread=unread)
        troubles.append(f"{error}; Windows imports all of them")
    if not protected:
        return "not needed", safes, main, troubles
    return "right", safes, main, [*troubles, *(["its password is empty"] if not password else [])]


def _part(safe: Safe) -> PfxPart:
    if safe.refusal:
        return PfxPart(encryption=safe.refusal, bags=None)
    closed = safe.encryption is not None and not safe.bags
    return PfxPart(
        encryption=str(safe.encryption) if safe.encryption else None,
        bags=None if closed else tuple(_bag(bag) for bag in safe.bags),
    )


def _bag(bag: Bag) -> PfxBag:
    return PfxBag(
        kind=bag.kind,
        friendly_name=bag.friendly_name,
        encryption=str(bag.encryption) if bag.encryption else None,
        provider=bag.provider,
        machine_keyset=bag.machine_keyset,
    )


def _encryptions(safes: Sequence[Safe]) -> list[Encryption]:
    of_safes = [safe.encryption for safe in safes if safe.encryption]
    return of_safes + [bag.encryption for bag in bags_of(safes) if bag.encryption]


def _iterations(structure: Structure, safes: Sequence[Safe]) -> list[int]:
    kdfs = [structure.mac.kdf if structure.mac else None, *(found.kdf for found in _encryptions(safes))]
    return [kdf.iterations for kdf in kdfs if kdf]


_WEAK = ("RC2-40-CBC", "RC4-40", "RC2-128-CBC", "RC4-128", "2-key 3DES-CBC")


def _weaknesses(structure: Structure, safes: Sequence[Safe]) -> list[str]:
    weak = sorted({e.cipher for e in _encryptions(safes) if e.cipher in _WEAK})
    found = [f"{cipher} is broken or nearly so; write the file anew" for cipher in weak]
    if structure.mac is None:
        found.append("it has no MAC: a wrong password cannot be told from damage")
    iterations = _iterations(structure, safes)
    if iterations and min(iterations) < 1000:
        found.append(f"{min(iterations)} iterations are so few that a password is guessed quickly")
    if any(bag.kind == "key" for bag in bags_of(safes)):
        found.append("a private key lies in it without encryption: whoever has the file has the key")
    if structure.version != 3:
        found.append(f"its version is {structure.version} instead of 3")
    return found


def _holdings(main: Choice | None) -> list[str]:
    if main is None:
        return []
    found = [f"it also holds {one}" for one in main.left_out]
    if main.private_key is None:
        found.append("it holds no private key; a server's certificate needs one")
    elif main.certificate is None:
        found.append("no certificate in it belongs to its private key")
    elif main.certificate.subject != main.certificate.issuer:
        found.extend(_chain_findings(main.certificate, main.others))
    return found


def _chain_findings(leaf: x509.Certificate, others: tuple[x509.Certificate, ...]) -> list[str]:
    by_subject = {other.subject: other for other in others}
    current, seen = leaf, 0
    while current.issuer != current.subject and current.issuer in by_subject and seen <= len(others):
        current = by_subject[current.issuer]
        seen += 1
    if current.issuer == current.subject:
        return []
    return [f"its chain ends at {name_text(current.subject)!r}; the issuer of that is not in the file"]


def _describe_key(key: object) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return f"RSA, {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return f"EC, {key.curve.name}"
    return type(key).__name__.removesuffix("PrivateKey")


_MAC_FEATURES: dict[str, Feature] = {
    "SHA-1": "MAC SHA-1",
    "SHA-512/224": "MAC SHA-512/t",
    "SHA-512/256": "MAC SHA-512/t",
    **dict.fromkeys(SHA3, "MAC SHA-3"),
}


def _features(structure: Structure, safes: Sequence[Safe]) -> list[Feature | str]:
    """What reading it takes, as `pfx_targets` calls it; anything else is something that no table knows."""
    found: list[Feature | str] = []
    mac = structure.mac
    if mac is None:
        found.append("no MAC")
    elif mac.refusal:
        found.append(f"MAC with {mac.refusal}")
    elif mac.scheme == "PBMAC1":
        # github.com openssl/openssl issue 30246: it has room for so many.
        found.append("PBMAC1" if mac.key_length <= 64 else f"PBMAC1 with a key of {mac.key_length} bytes")
    else:
        found.append(_MAC_FEATURES.get(mac.hash_name, "MAC SHA-2"))
    for encryption in _encryptions(safes):
        if encryption.cipher is None:
            found.append(str(encryption.refusal))
        else:
            found.append("AES-CBC" if encryption.cipher.startswith("AES") else encryption.cipher)
        if encryption.kdf and encryption.kdf.kind == "scrypt":
            found.append("scrypt")
    found += [safe.refusal for safe in safes if safe.refusal]
    return list(dict.fromkeys(found))


def _reader(target: Target, features: list[Feature | str], *, foreign: bool) -> PfxReader:
    refused: list[str] = [feature for feature in features if feature in target.refuses]
    if foreign and target.plain_passwords:
        refused.append("a password outside ASCII")
    unknown = [feature for feature in features if feature not in target.reads and feature not in target.refuses]
    reads = False if refused else None if unknown else True
    reason = ""
    if refused:
        reason = f"{', '.join(refused)}; it says {target.symptom!r} although the password is right"
    elif unknown:
        reason = ", ".join(unknown)
    return PfxReader(name=target.name, title=target.title, reads=reads, reason=reason)
