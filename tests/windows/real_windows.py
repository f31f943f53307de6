r"""A Windows computer that is there for the tests: what it needs before them, and what they left on it.

``python tests/windows/real_windows.py prepare``, as administrator, enables IIS' provider of the central certificate
store and names a folder for it (without the provider HTTP.sys may refuse CCS records), stops a service for the tests
of services, and says which Windows this is. ``… leftovers`` fails when a binding or URL reservation of the tests is
still there. Each step says what it did; one that cannot be done fails, except under Wine, which has no IIS.

Sources: Microsoft's "IIS 8.0 Centralized SSL Certificate Support" and the registry key that its IIS articles name,
HKLM\SOFTWARE\Microsoft\IIS\CentralCertProvider; SslCertBinding.Net's workflow sets the same two values.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":  # run by its path: the other modules of tests/ are then not yet importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from windows.wine_limits import under_wine

FEATURE = "IIS-CertProvider"
PROVIDER_KEY = r"SOFTWARE\Microsoft\IIS\CentralCertProvider"
SERVICES = ("BITS", "StiSvc")  # started on demand, needed by nothing: the contract's tests look for a stopped one
DONE, NEEDS_RESTART, NOT_STARTED = 0, 3010, 1062  # ERROR_SUCCESS_REBOOT_REQUIRED, ERROR_SERVICE_NOT_ACTIVE


class StepError(Exception):
    """A step could not be done; the message says which and why."""


def run(*command: str, timeout: float, good: tuple[int, ...] = (DONE,)) -> str:
    """Run a program of System32 and return what it wrote."""
    program = os.path.join(os.environ["SYSTEMROOT"], "System32", command[0])  # noqa: PTH118  # a Windows path, as text
    done = subprocess.run(
        [program, *command[1:]], capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=timeout
    )
    text = (done.stdout + done.stderr).decode("oem" if sys.platform == "win32" else "utf-8", "replace")
    if done.returncode not in good:
        raise StepError(f"{' '.join(command)} ended with {done.returncode}:\n{text}")
    return text


def enable_central_store(folder: Path) -> str:
    """Enable the provider, with a folder of its own."""
    if sys.platform != "win32":
        raise StepError("this is no Windows")
    import winreg

    if under_wine():
        said = "Wine has no IIS, so its provider was not enabled; the registry values alone"
    else:
        arguments = ("/Online", "/Enable-Feature", f"/FeatureName:{FEATURE}", "/All", "/NoRestart", "/Quiet")
        run("dism.exe", *arguments, timeout=1000, good=(DONE, NEEDS_RESTART))
        said = f"{FEATURE} is enabled"
    folder.mkdir(parents=True, exist_ok=True)
    access = winreg.KEY_WRITE | winreg.KEY_WOW64_64KEY
    with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, PROVIDER_KEY, 0, access) as key:
        winreg.SetValueEx(key, "CertStoreLocation", 0, winreg.REG_SZ, str(folder))
        winreg.SetValueEx(key, "Enabled", 0, winreg.REG_DWORD, 1)
    return f"{said}; certificates from {folder}"


def stop_a_service() -> str:
    """Have one of `SERVICES` stopped: images start and stop them when they like."""
    failures = []
    for name in SERVICES:
        try:
            run("sc.exe", "stop", name, timeout=60, good=(DONE, NOT_STARTED))
            deadline = time.monotonic() + 60
            while not re.search(r":\s+1\s+STOPPED", run("sc.exe", "query", name, timeout=60)):
                if time.monotonic() > deadline:
                    raise StepError(f"{name} does not stop")
                time.sleep(0.2)
        except StepError as error:
            failures.append(str(error))
        else:
            return f"the service {name} is stopped"
    if under_wine():
        return f"Wine has none of {', '.join(SERVICES)}"
    raise StepError("\n".join(failures))


def which_windows() -> str:
    """The build: what an option bit is refused by depends on it."""
    if sys.platform != "win32":
        raise StepError("this is no Windows")
    import winreg

    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Windows NT\CurrentVersion") as key:

        def value(name: str) -> str:
            try:
                return str(winreg.QueryValueEx(key, name)[0])
            except FileNotFoundError:
                return "?"

        words = f"{value('ProductName')}, build {value('CurrentBuildNumber')}.{value('UBR')}"
    return words + (" (Wine)" if under_wine() else "")


def leftovers() -> str:
    """What netsh shows of the tests' ports, 443xx and 444xx: bindings and URL reservations."""
    shown = run("netsh.exe", "http", "show", "sslcert", timeout=60)
    if bound := re.findall(r":\s+(\S*:44[34]\d\d|44[34]\d\d)\s*$", shown, re.MULTILINE):
        raise StepError(f"still bound: {', '.join(bound)}")
    urls = re.findall(r":\s+(https?://\S+)", run("netsh.exe", "http", "show", "urlacl", timeout=60))
    if reserved := [url for url in urls if re.search(r":44[34]\d\d(?::[^/]*)?/", url)]:
        raise StepError(f"still reserved: {', '.join(reserved)}")
    others = f"{shown.count('Application ID')} bindings and {len(urls)} reservations of others"
    return f"no binding or reservation of the tests is left; {others}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 when every step was done."""
    parser = argparse.ArgumentParser(prog="real_windows.py", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="what the tests need, as administrator")
    folder = Path(os.environ.get("RUNNER_TEMP") or os.environ.get("TEMP") or ".") / "mlsssl-ccs"
    prepare.add_argument("--central-store", type=Path, default=folder, metavar="FOLDER", help="for CCS certificates")
    commands.add_parser("leftovers", help="fail when the tests left something bound")
    options = parser.parse_args(arguments)
    try:
        if options.command == "leftovers":
            steps = [leftovers()]
        else:
            steps = [which_windows(), enable_central_store(options.central_store), stop_a_service()]
    except (StepError, OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{step}\n" for step in steps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
