"""`mlsssl pvk2pfx`: Pvk2Pfx's command line, word for word (Microsoft's page "Pvk2Pfx", Windows Driver Kit)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl._commands.old_tools.command_lines import Context, Option, parse_options
from mlsssl._machine import files
from mlsssl._messages.foreign_text import shown
from mlsssl.certificate import Certificate
from mlsssl.errors import ExistsError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS: dict[str, Option] = {
    "pvk": Option(value="a .pvk file"),
    "pi": Option(value="the password of the .pvk file"),
    "spc": Option(value="a .spc or .cer file"),
    "pfx": Option(value="the .pfx file to write"),
    "po": Option(value="a password for the .pfx file"),
    "f": Option(),
    "?": Option(),
}


def run(argv: Sequence[str], context: Context) -> int:
    """Run the words after `pvk2pfx`; as with the old tool, the .pfx gets the .pvk's password by default."""
    out = context.out
    parsed = parse_options("pvk2pfx", argv, OPTIONS, raw=frozenset({"pi", "po"}))
    if parsed.flag("?"):
        out("pvk2pfx -pvk FILE.pvk [-pi PASSWORD] -spc FILE.spc|FILE.cer -pfx FILE.pfx [-po PASSWORD] [-f]")
        return 0
    pvk, spc, pfx = (parsed.text(name) for name in ("pvk", "spc", "pfx"))
    if parsed.operands:
        # It may be the rest of a password with a blank in it that stands without quotes.
        secret = parsed.text("pi") is not None or parsed.text("po") is not None
        extra = "a word more (a value with a blank needs quotes)" if secret else shown(parsed.operands[0])
        raise InvalidInputError(f"pvk2pfx takes options only, not {extra}")
    if pvk is None or spc is None:
        raise InvalidInputError("pvk2pfx needs -pvk FILE.pvk and -spc FILE.spc (or .cer)")
    if pfx is None:
        raise InvalidInputError("pvk2pfx without -pfx opened a wizard; give -pfx FILE.pfx")
    if context.explain_only:
        return _explain(pvk, spc, pfx, context)
    for name in ("pi", "po"):
        if parsed.text(name) is not None:
            out(
                f"warning: a password on the command line (-{name}) can be read by every user of this computer and "
                "stays in the shell's history; leave it out to be asked, or use --password env:NAME"
            )
    if files.exists(Path(pfx)) and not parsed.flag("f"):
        raise ExistsError(f"{pfx} is there already; pvk2pfx -f replaces it")
    key = files.read(Path(pvk))
    password = parsed.text("pi")
    if password is None:
        password = context.pvk_password(pvk, key)
    with files.naming(spc, pvk):
        certificate = Certificate.from_bytes(files.read(Path(spc)), key=key, key_password=password)
    new_password = parsed.text("po") or password or context.ask_password(f"new password for {pfx}", new=True)
    files.write(Path(pfx), certificate.to_pfx(new_password), private=True)
    out(f"pfx: {pfx}")
    out(f"thumbprint: {certificate.thumbprint}")
    return 0


def _explain(pvk: str, spc: str, pfx: str, context: Context) -> int:
    return context.explain(
        f"mlsssl pfx {spc} --key {pvk} --out {pfx}",
        f'Certificate.load("{spc}", key="{pvk}", password=...).save("{pfx}", password=...)',
        "the key is proved to belong to the certificate, and every number of it is checked",
        "the password is asked for, or read from env:NAME, file:PATH or stdin; never on the command line",
        "the chain goes along, and readable_by= chooses what the reader understands",
        "the file is readable by its owner only, from the moment it exists",
    )
