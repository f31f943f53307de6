"""Rubbish for each argument of the public face in turn: success, or an error of mlsssl's own, never one from inside."""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import inspect
import itertools
import sys
import typing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mlsssl
from mlsssl import (
    PROFILES,
    Binding,
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    EmbeddedMachine,
    MlssslError,
    Store,
    StoreEntry,
    bundles,
    ccs,
    hooks,
    netsh,
)
from mlsssl._messages.foreign_text import shown
from mlsssl.hooks.command import CommandHook
from mlsssl.hooks.files import PemFiles, PfxFile
from mlsssl.hooks.windows import RdpListener, WinRmListener
from mlsssl.testing import memory_machine, tls_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


RUBBISH: tuple[object, ...] = (
    *(None, 5, "", b"", object(), [], [object()], float("nan")),
    # The ends of what each kind can be: no float is as large, and UTCTime begins in 1950.
    *(-1, 10**400, float("inf"), float("-inf"), "\0", "\ud800"),
    *(dt.timedelta.max, dt.timedelta.min, dt.datetime(1940, 1, 1, tzinfo=dt.timezone.utc)),
    dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=12))),
    *(dt.datetime.max.replace(tzinfo=dt.timezone.utc), dt.datetime.min.replace(tzinfo=dt.timezone.utc)),
)
KEY, PASSWORD, COMMAND = "0.0.0.0:443", "secret", "netsh http show sslcert ipport=0.0.0.0:443"
URL, HTTP_COMMAND = "https://+:443/mls/", "netsh http show urlacl"


class Call:
    """A call that is still to be made."""

    def __init__(self, function: Callable[..., object], *args: object, **keywords: object) -> None:
        self.function = function
        self.signature = inspect.signature(function)
        self.bound = self.signature.bind(*args, **keywords)

    def make(self) -> None:
        """Make it; what is done lazily is done now, what it opens is closed."""
        result = self.function(*self.bound.args, **self.bound.kwargs)
        if inspect.isgenerator(result):
            list(itertools.islice(result, 2))
            result.close()
        elif isinstance(result, contextlib.AbstractContextManager) and not isinstance(result, Path):  # as it once was
            with result:
                pass


class World:
    """What valid calls are made of: an authority, a certificate, and a machine to throw away."""

    ca = CertificateAuthority.create("Wrong arguments", key="ec-p256")
    certificate = ca.issue("a.test")
    request = CertificateRequest.create("a.test", key="ec-p256")
    pfx = certificate.to_pfx(PASSWORD)
    crl = ca.crl([certificate])

    def __init__(self, folder: Path, machine: EmbeddedMachine, opened: contextlib.ExitStack) -> None:
        self.folder = folder
        self.machine = machine
        self.opened = opened

    @property
    def bare(self) -> EmbeddedMachine:
        """The machine with nothing in it, so that a verb has everything to do."""
        for binding in self.machine.bindings:
            binding.remove()
        for entry in self.store:
            self.store.remove(entry.thumbprint)
        return self.machine

    @property
    def store(self) -> Store:
        return self.machine.store()

    @property
    def entry(self) -> StoreEntry:
        """An entry that is there, whatever the call before did."""
        return self.store.add(self.certificate, exportable=True)

    @property
    def kept_crl(self) -> mlsssl.RevocationList:
        """A revocation list that is there."""
        self.machine.store("CA").add_crl(self.crl)
        return self.crl

    @property
    def binding(self) -> Binding:
        """A binding that is there."""
        entry = self.entry
        return Binding.find(KEY, machine=self.machine) or Binding(KEY, entry, machine=self.machine).add()

    @property
    def unreserved(self) -> EmbeddedMachine:
        """The machine without a reservation."""
        for one in self.machine.reservations:
            one.remove()
        return self.machine

    @property
    def reservation(self) -> mlsssl.UrlReservation:
        """A reservation that is there."""
        return self.unreserved.reservations.add(URL, user="Everyone")

    @property
    def empty_listen_list(self) -> mlsssl.IpListenList:
        listed = mlsssl.IpListenList(machine=self.machine)
        for address in list(listed):
            listed.remove(address)
        return listed

    @property
    def listen_list(self) -> mlsssl.IpListenList:
        """One with an address in it."""
        listed = self.empty_listen_list
        listed.add("10.0.0.5")
        return listed

    @cached_property
    def rsa(self) -> Certificate:
        return self.ca.issue("a.test", key="rsa-2048")

    @cached_property
    def endpoint(self) -> str:
        server = self.opened.enter_context(tls_server(self.certificate))
        return ":".join(map(str, server.address))

    @cached_property
    def adcs(self) -> mlsssl.AdcsIssuer:
        answer = self.ca.sign(self.request).to_pem().decode()
        command = [sys.executable, "-c", f"import sys; open(sys.argv[-3], 'w').write({answer!r})"]
        return mlsssl.AdcsIssuer("HOST\\Wrong arguments", command=command, state=self.folder / "adcs")

    @cached_property
    def command(self) -> mlsssl.CommandIssuer:
        said = self.ca.issue("a.test").to_pem().decode()
        return mlsssl.CommandIssuer([sys.executable, "-c", f"print({said!r})"], issued_by=self.ca.certificate)

    @cached_property
    def service(self) -> mlsssl.Service:
        self.machine.define_service("A")
        return self.machine.services["A"]

    def file(self, what: Certificate | CertificateAuthority | CertificateRequest, name: str) -> Path:
        return what.save(self.folder / name)


CALLS: dict[str, Callable[[World], Call]] = {
    # values
    "BindingOptions": lambda w: Call(mlsssl.BindingOptions),
    "BindingOptions.from_numbers": lambda w: Call(
        mlsssl.BindingOptions.from_numbers,
        flags=0,
        check_mode=0,
        freshness_seconds=0,
        timeout_milliseconds=0,
        ctl_identifier=None,
        ctl_store_name=None,
    ),
    "CcsPort": lambda w: Call(mlsssl.CcsPort, 443),
    "AdcsIssuer": lambda w: Call(mlsssl.AdcsIssuer, "HOST\\CA", command=["certreq"], state=w.folder / "adcs"),
    "AdcsIssuer.issued": lambda w: Call(w.adcs.issued, w.certificate),
    "AdcsIssuer.issue": lambda w: Call(w.adcs.issue, w.request, old=None),
    "CommandIssuer": lambda w: Call(mlsssl.CommandIssuer, ["sign"], issued_by=w.certificate),
    "CommandIssuer.issued": lambda w: Call(w.command.issued, w.certificate),
    "CommandIssuer.issue": lambda w: Call(w.command.issue, w.request, old=None),
    "HostnamePort": lambda w: Call(mlsssl.HostnamePort, "a.test", 443),
    "IpPort": lambda w: Call(mlsssl.IpPort, "0.0.0.0", 443),
    "ScopedCcs": lambda w: Call(mlsssl.ScopedCcs, "a.test", 443),
    "HostnamePort.as_stored": lambda w: Call(mlsssl.HostnamePort.as_stored, "A.test.", 443),
    "ScopedCcs.as_stored": lambda w: Call(mlsssl.ScopedCcs.as_stored, "A.test.", 443),
    "Thumbprint": lambda w: Call(mlsssl.Thumbprint, bytes(20)),
    # certificates
    "Certificate": lambda w: Call(Certificate, w.certificate.to_cryptography()),
    "Certificate.check": lambda w: Call(w.certificate.check, "a.test", trust=[w.ca]),
    "Certificate.from_bytes": lambda w: Call(Certificate.from_bytes, w.certificate.to_pem()),
    "Certificate.from_der": lambda w: Call(Certificate.from_der, w.certificate.to_der()),
    "Certificate.from_pem": lambda w: Call(Certificate.from_pem, w.certificate.to_pem()),
    "RevocationList": lambda w: Call(mlsssl.RevocationList, w.crl.to_cryptography()),
    "RevocationList.load": lambda w: Call(mlsssl.RevocationList.load, w.crl.save(w.folder / "list.crl")),
    "RevocationList.from_bytes": lambda w: Call(mlsssl.RevocationList.from_bytes, w.crl.to_der()),
    "RevocationList.save": lambda w: Call(w.crl.save, w.folder / "list.crl"),
    "RevocationList.revokes": lambda w: Call(w.crl.revokes, 5),
    "Certificate.from_text": lambda w: Call(Certificate.from_text, w.certificate.to_pem().decode()),
    "Certificate.diff": lambda w: Call(w.certificate.diff, w.certificate),
    "Certificate.from_pfx": lambda w: Call(Certificate.from_pfx, w.pfx, PASSWORD),
    "Certificate.load_all": lambda w: Call(Certificate.load_all, w.file(w.certificate, "server.pem")),
    "Certificate.load": lambda w: Call(Certificate.load, w.file(w.certificate, "server.pem")),
    "Certificate.private_key_pem": lambda w: Call(w.certificate.private_key_pem),
    "Certificate.private_key_pvk": lambda w: Call(w.rsa.private_key_pvk),
    "Certificate.renewal_due": lambda w: Call(w.certificate.renewal_due),
    "Certificate.renewal_time": lambda w: Call(w.certificate.renewal_time),
    "Certificate.save": lambda w: Call(w.certificate.save, w.folder / "server.pfx", password=PASSWORD),
    "Certificate.timeline": lambda w: Call(Certificate.timeline, [w.certificate]),
    "Certificate.to_pem": lambda w: Call(w.certificate.to_pem),
    "Certificate.to_pkcs7": lambda w: Call(w.certificate.to_pkcs7),
    "Certificate.to_pfx": lambda w: Call(w.certificate.to_pfx, PASSWORD),
    "Certificate.with_chain": lambda w: Call(w.certificate.with_chain, [w.ca.certificate]),
    "Certificate.with_friendly_name": lambda w: Call(w.certificate.with_friendly_name, "name"),
    "Certificate.with_key": lambda w: Call(w.certificate.with_key, w.certificate.private_key_pem()),
    # authorities and requests
    "CertificateAuthority": lambda w: Call(CertificateAuthority, Certificate.load(w.file(w.ca, "ca.pem"))),
    "CertificateAuthority.create": lambda w: Call(CertificateAuthority.create, "CA", key="ec-p256"),
    "CertificateAuthority.create_intermediate": lambda w: Call(w.ca.create_intermediate, "CA 2"),
    "CertificateAuthority.crl": lambda w: Call(w.ca.crl, [w.certificate]),
    "CertificateAuthority.renew": lambda w: Call(w.ca.renew, key="ec-p256"),
    "CertificateAuthority.with_crl_url": lambda w: Call(w.ca.with_crl_url, "http://crl.test/ca.crl"),
    "CertificateAuthority.issue": lambda w: Call(w.ca.issue, "a.test"),
    "CertificateAuthority.issued": lambda w: Call(w.ca.issued, w.certificate),
    "CertificateAuthority.issue_client": lambda w: Call(w.ca.issue_client, "Alice", key="ec-p256"),
    "CertificateAuthority.issue_many": lambda w: Call(w.ca.issue_many, ["a.test"]),
    "CertificateAuthority.load": lambda w: Call(CertificateAuthority.load, w.file(w.ca, "ca.pem")),
    "CertificateAuthority.save": lambda w: Call(w.ca.save, w.folder / "ca.pfx", password=PASSWORD),
    "CertificateAuthority.sign": lambda w: Call(w.ca.sign, w.request),
    "CertificateAuthority.to_pfx": lambda w: Call(w.ca.to_pfx, PASSWORD),
    "CertificateRequest": lambda w: Call(CertificateRequest, w.request.to_cryptography()),
    "CertificateRequest.complete": lambda w: Call(w.request.complete, w.ca.sign(w.request)),
    "CertificateRequest.create": lambda w: Call(CertificateRequest.create, "a.test", key="ec-p256"),
    "CertificateRequest.for_renewal": lambda w: Call(CertificateRequest.for_renewal, w.certificate),
    "CertificateRequest.from_bytes": lambda w: Call(CertificateRequest.from_bytes, w.request.to_pem()),
    "CertificateRequest.honoured_by": lambda w: Call(w.request.honoured_by, mlsssl.RequestPolicy()),
    "CertificateRequest.load": lambda w: Call(CertificateRequest.load, w.file(w.request, "server.csr")),
    "CertificateRequest.matches": lambda w: Call(w.request.matches, w.certificate),
    "CertificateRequest.save": lambda w: Call(w.request.save, w.folder / "server.csr"),
    "CertificateRequest.save_key": lambda w: Call(w.request.save_key, w.folder / "server.key"),
    "RequestPolicy": lambda w: Call(mlsssl.RequestPolicy),
    # looking at them
    "PfxExplanation.readable_by": lambda w: Call(mlsssl.explain_pfx(w.pfx).readable_by, "openssl-3"),
    "Profile.for_client": lambda w: Call(PROFILES["private"].for_client, "go"),
    "Profile.with_severity": lambda w: Call(PROFILES["private"].with_severity, "mine", expired="warning"),
    "Report.filter": lambda w: Call(w.certificate.check(trust=None).filter),
    "Report.to_json": lambda w: Call(w.certificate.check(trust=None).to_json),
    "ServerFacts": lambda w: Call(mlsssl.ServerFacts),
    "check_endpoint": lambda w: Call(mlsssl.check_endpoint, w.endpoint, trust=[w.ca], timeout=2),
    "check_many": lambda w: Call(mlsssl.check_many, [w.certificate], trust=[w.ca]),
    "explain_pfx": lambda w: Call(mlsssl.explain_pfx, w.pfx, PASSWORD),
    "progress_bar": lambda w: Call(mlsssl.progress_bar),
    "timeline": lambda w: Call(mlsssl.timeline, [w.certificate]),
    # machines and stores
    "EmbeddedMachine": lambda w: Call(EmbeddedMachine, w.folder / "another.sqlite"),
    "Machine.local": lambda _: Call(mlsssl.Machine.local),
    "EmbeddedMachine.local": lambda _: Call(EmbeddedMachine.local),
    "WindowsMachine.local": lambda _: Call(mlsssl.WindowsMachine.local),
    "EmbeddedMachine.define_service": lambda w: Call(w.machine.define_service, f"service{id(object())}"),
    "EmbeddedMachine.listen": lambda w: Call(w.machine.listen),
    "EmbeddedMachine.set_central_store": lambda w: Call(w.machine.set_central_store, w.folder),
    "EmbeddedMachine.store": lambda w: Call(w.machine.store),
    "EmbeddedMachine.store_names": lambda w: Call(w.machine.store_names),
    "Limits": lambda w: Call(mlsssl.Limits),
    "Listener.close": lambda w: Call(w.machine.listen().close),
    "Listener.port_of": lambda w: Call(w.opened.enter_context(w.machine.listen()).port_of, w.binding.key),
    "Service.restart": lambda w: Call(w.service.restart),
    "Service.start": lambda w: Call(w.service.start),
    "Service.stop": lambda w: Call(w.service.stop),
    "Service.stopped": lambda w: Call(w.service.stopped),
    "Store.add": lambda w: Call(w.bare.store().add, w.certificate),
    "Store.add_all": lambda w: Call(w.bare.store().add_all, [w.certificate]),
    "Store.add_crl": lambda w: Call(w.machine.store("CA").add_crl, w.crl),
    "Store.export": lambda w: Call(w.store.export, w.entry.thumbprint),
    "Store.find": lambda w: Call(w.store.find, thumbprint=w.entry.thumbprint),
    "Store.find_all": lambda w: Call(w.store.find_all, host="a.test"),
    "Store.grant_key_access": lambda w: Call(w.store.grant_key_access, w.entry.thumbprint, "NETWORK SERVICE"),
    "Store.revoke_key_access": lambda w: Call(w.store.revoke_key_access, w.entry.thumbprint, "S-1-5-20"),
    "Store.import_pfx": lambda w: Call(w.bare.store().import_pfx, w.pfx, PASSWORD),
    "Store.open": lambda w: Call(Store.open, machine=w.machine),
    "Store.remove": lambda w: Call(w.store.remove, w.entry.thumbprint),
    "Store.remove_crl": lambda w: Call(w.machine.store("CA").remove_crl, w.kept_crl),
    "Store.set_archived": lambda w: Call(w.store.set_archived, w.entry.thumbprint),
    "Store.set_friendly_name": lambda w: Call(w.store.set_friendly_name, w.entry.thumbprint, "name"),
    "Store.set_renewed_by": lambda w: Call(w.store.set_renewed_by, w.entry.thumbprint, None),
    "StoreEntry.check": lambda w: Call(w.entry.check, "a.test", trust=[w.ca]),
    # bindings, and the verbs
    "Binding": lambda w: Call(Binding, KEY, w.certificate, machine=w.machine),
    "Binding.all": lambda w: Call(Binding.all, machine=w.machine),
    "Binding.find": lambda w: Call(Binding.find, KEY, machine=w.machine),
    "Binding.get": lambda w: Call(Binding.get, w.binding.key, machine=w.machine),
    "Binding.supports": lambda w: Call(Binding.supports, "ipport", machine=w.machine),
    "Binding.with_certificate": lambda w: Call(w.binding.with_certificate, w.certificate),
    "Binding.with_options": lambda w: Call(w.binding.with_options, mlsssl.BindingOptions()),
    "Bindings.add": lambda w: Call(w.bare.bindings.add, KEY, w.entry),
    "Bindings.find": lambda w: Call(w.machine.bindings.find, KEY),
    # reservations and settings of HTTP.sys
    "HttpLimits": lambda _: Call(mlsssl.HttpLimits),
    "HttpLimits.get": lambda w: Call(mlsssl.HttpLimits.get, machine=w.machine),
    "HttpLimits.set": lambda w: Call(mlsssl.HttpLimits().set, machine=w.machine),
    "HttpTimeouts": lambda _: Call(mlsssl.HttpTimeouts),
    "HttpTimeouts.get": lambda w: Call(mlsssl.HttpTimeouts.get, machine=w.machine),
    "HttpTimeouts.set": lambda w: Call(mlsssl.HttpTimeouts().set, machine=w.machine),
    "IpListenList": lambda w: Call(mlsssl.IpListenList, machine=w.machine),
    "IpListenList.add": lambda w: Call(w.empty_listen_list.add, "10.0.0.5"),
    "IpListenList.remove": lambda w: Call(w.listen_list.remove, "10.0.0.5"),
    "UrlPrefix": lambda _: Call(mlsssl.UrlPrefix, URL),
    "UrlPrefix.as_stored": lambda _: Call(mlsssl.UrlPrefix.as_stored, URL),
    "UrlPrefix.covers": lambda _: Call(mlsssl.UrlPrefix(URL).covers, mlsssl.UrlPrefix(URL)),
    "UrlReservation": lambda w: Call(mlsssl.UrlReservation, URL, user="SYSTEM", machine=w.machine),
    "UrlReservation.all": lambda w: Call(mlsssl.UrlReservation.all, machine=w.machine),
    "UrlReservation.find": lambda w: Call(mlsssl.UrlReservation.find, URL, machine=w.machine),
    "UrlReservation.get": lambda w: Call(mlsssl.UrlReservation.get, w.reservation.url, machine=w.machine),
    "UrlReservation.with_sddl": lambda w: Call(w.reservation.with_sddl, "D:"),
    "UrlReservation.with_user": lambda w: Call(w.reservation.with_user, "SYSTEM"),
    "UrlReservations.add": lambda w: Call(w.unreserved.reservations.add, URL, user="SYSTEM"),
    "UrlReservations.find": lambda w: Call(w.machine.reservations.find, URL),
    "Audit.from_json": lambda w: Call(mlsssl.Audit.from_json, mlsssl.audit(machine=w.machine).to_json()),
    "Audit.save": lambda w: Call(mlsssl.audit(machine=w.machine).save, w.folder / "report.html"),
    "Audit.to_html": lambda w: Call(mlsssl.audit(machine=w.machine).to_html),
    "Audit.to_json": lambda w: Call(mlsssl.audit(machine=w.machine).to_json),
    "Cleanup.to_json": lambda w: Call(mlsssl.cleanup(machine=w.machine).to_json),
    "Outcome.to_json": lambda w: Call(mlsssl.deploy(KEY, w.certificate, machine=w.machine).to_json),
    "Plan.to_json": lambda w: Call(mlsssl.deploy.plan(KEY, w.certificate, machine=w.machine).to_json),
    "audit": lambda w: Call(mlsssl.audit, machine=w.machine),
    "cleanup": lambda w: Call(mlsssl.cleanup, machine=w.machine),
    "deploy": lambda w: Call(mlsssl.deploy, KEY, w.certificate, machine=w.bare),
    "deploy.plan": lambda w: Call(mlsssl.deploy.plan, KEY, w.certificate, machine=w.bare),
    "last_outcome": lambda w: Call(mlsssl.last_outcome, KEY, machine=w.machine),
    "recover": lambda w: Call(mlsssl.recover, machine=w.machine),
    "renew": lambda w: Call(mlsssl.renew, w.binding.key, w.ca, machine=w.machine),
    "renew.plan": lambda w: Call(mlsssl.renew.plan, w.binding.key, w.ca, machine=w.machine),
    "renew_due": lambda w: Call(mlsssl.renew_due, w.ca, only=[w.binding.key], due_only=False, machine=w.machine),
    # netsh
    "netsh.format_command": lambda w: Call(netsh.format_command, netsh.parse_command(COMMAND)),
    "netsh.format_listing": lambda w: Call(netsh.format_listing, [w.binding.record]),
    "netsh.format_http_command": lambda _: Call(netsh.format_http_command, netsh.parse_http_command(HTTP_COMMAND)),
    "netsh.format_urlacl_listing": lambda w: Call(netsh.format_urlacl_listing, [w.reservation.record]),
    "netsh.from_json": lambda w: Call(netsh.from_json, netsh.to_json([w.binding.record])),
    "netsh.normalize": lambda w: Call(netsh.normalize, COMMAND),
    "netsh.parse_command": lambda w: Call(netsh.parse_command, COMMAND),
    "netsh.parse_http_command": lambda _: Call(netsh.parse_http_command, HTTP_COMMAND),
    "netsh.parse_urlacl_listing": lambda _: Call(netsh.parse_urlacl_listing, netsh.format_urlacl_listing([])),
    "netsh.parse_listing": lambda w: Call(netsh.parse_listing, netsh.format_listing([])),
    "netsh.parse_script": lambda w: Call(netsh.parse_script, COMMAND),
    "netsh.to_json": lambda w: Call(netsh.to_json, [w.binding.record]),
    # steps after a change
    "Outcome.undo": lambda w: Call(mlsssl.deploy(KEY, w.certificate, machine=w.bare).undo, hooks=[]),
    "hooks.command.CommandHook": lambda w: Call(CommandHook, ["true"], timeout=5.0),
    "hooks.files.PemFiles": lambda w: Call(PemFiles, w.folder, "nginx", password=PASSWORD),
    "hooks.files.PfxFile": lambda w: Call(PfxFile, w.folder / "service.pfx", password=PASSWORD),
    "hooks.windows.RdpListener": lambda w: Call(RdpListener),
    "hooks.windows.WinRmListener": lambda w: Call(WinRmListener),
    # files for other programs
    "bundles.java_trust_store": lambda w: Call(bundles.java_trust_store, [w.certificate], PASSWORD),
    "bundles.pem_files": lambda w: Call(bundles.pem_files, w.certificate, "nginx"),
    "bundles.write_pem_files": lambda w: Call(bundles.write_pem_files, w.folder, w.certificate, "nginx"),
    "ccs.check_folder": lambda w: Call(ccs.check_folder, w.folder, PASSWORD),
    "ccs.read_folder": lambda w: Call(ccs.read_folder, w.folder, PASSWORD),
    "ccs.file_name": lambda w: Call(ccs.file_name, "a.test"),
    "ccs.write_files": lambda w: Call(ccs.write_files, w.folder, w.certificate, PASSWORD),
    # issuers
    "AcmeIssuer": lambda w: Call(mlsssl.AcmeIssuer, "letsencrypt", [mlsssl.WebrootChallenge(w.folder)], state=w.folder),
    "AcmeIssuer.issued": lambda w: Call(mlsssl.AcmeIssuer("letsencrypt", state=w.folder).issued, w.certificate),
    "DnsChallenge": lambda w: Call(mlsssl.DnsChallenge, str, str, check=None),
    "DnsChallenge.by_command": lambda w: Call(mlsssl.DnsChallenge.by_command, "hook"),
    "HttpSysChallenge": lambda _: Call(mlsssl.HttpSysChallenge, 8080),
    "SocketChallenge": lambda w: Call(mlsssl.SocketChallenge, "127.0.0.1:8080"),
    "TlsAlpnChallenge": lambda w: Call(mlsssl.TlsAlpnChallenge, w.machine),
    "WebrootChallenge": lambda w: Call(mlsssl.WebrootChallenge, w.folder),
}
"""A valid call for each public name that takes arguments; made anew for every piece of rubbish."""

LEFT_OUT = {
    "results and findings, which users read": (
        "Audit AuditReservation AuditRow CertificateChain CertificateDiff Cleanup Diagnosis EndpointReport Failure"
        " Finding Kept KeyAccess KeyState Outcome PfxExplanation Plan Renewal RenewedAuthority Renewals Report"
        " RuleContext hooks.Replacement RevokedEntry ServiceStatus Step StoreEntry Timeline UrlGrant ccs.CcsFinding"
        " ccs.CcsFile"
        " netsh.HttpCommand netsh.Listing netsh.NetshCommand netsh.PassedOver netsh.Script netsh.UrlaclListing"
    ),
    "made by another call, which is in the table": (
        "Bindings UrlReservations Listener Machine Service Services Store Plan.execute"
    ),
    "Protocols, which others fulfil": (
        "Issuer Issuer.issue Issuer.issued RenewalTimes RenewalTimes.renewal_time ChallengeSolver"
        " ChallengeSolver.present ChallengeSolver.cleanup SettlingSolver SettlingSolver.settle"
    ),
    "what asks a server; test_acme.py has it": "AcmeIssuer.issue AcmeIssuer.renewal_time AcmeIssuer.revoke",
    "for issuers, which hand over what a server gave": (
        "DnsChallenge.cleanup DnsChallenge.present DnsChallenge.settle HttpSysChallenge.cleanup"
        " HttpSysChallenge.present SocketChallenge.cleanup SocketChallenge.present TlsAlpnChallenge.cleanup"
        " TlsAlpnChallenge.present WebrootChallenge.cleanup WebrootChallenge.present"
    ),
    "for rules, which the library hands them": "Profile Profile.has Profile.limit Profile.severity",
    "tried as EmbeddedMachine's": "Machine.store Machine.store_names WindowsMachine.store WindowsMachine.store_names",
}
"""What takes arguments, and is left out; with the reason."""


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "local.sqlite"))  # where rubbish for `machine` may lead
    with memory_machine() as machine, contextlib.ExitStack() as opened:
        yield World(tmp_path, machine, opened)


def _offences(name: str, call: Callable[[], Call]) -> list[str]:
    """Each argument that is answered with a foreign exception, in words."""
    found = []
    for argument, parameter in call().signature.parameters.items():
        for rubbish in RUBBISH:
            wrong = call()
            several = parameter.kind is parameter.VAR_POSITIONAL
            keywords = parameter.kind is parameter.VAR_KEYWORD
            wrong.bound.arguments[argument] = (rubbish,) if several else {"expired": rubbish} if keywords else rubbish
            try:
                wrong.make()
            except MlssslError:
                continue
            except Exception as error:  # noqa: BLE001 -- whatever it is, it should not have come out
                found.append(f"{name}({argument}={shown(rubbish)}): {type(error).__name__}: {error}")
    return found


@pytest.mark.filterwarnings("ignore:trail= is called audit_log= now:DeprecationWarning")
@pytest.mark.parametrize("name", CALLS)
def test_rubbish_is_refused_by_name(name: str, world: World) -> None:
    """The call is good as it stands; with rubbish for one argument it may fail with an error of mlsssl's own only."""
    with contextlib.suppress(mlsssl.UnsupportedError):  # tqdm may be missing
        CALLS[name](world).make()
    assert _offences(name, lambda: CALLS[name](world)) == []


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Certificate.with_chain", {"chain": 5}, "a chain is a list of certificates, not int"),
        ("Certificate.renewal_time", {"fraction": ""}, "fraction is a share of the lifetime, above 0 up to 1, not ''"),
        ("Certificate.with_key", {"password": b"x"}, "a password is text or None, not bytes"),
        (
            "Certificate.check",
            {"trust": 5},
            "trust is a list of authorities or certificates, 'system' or None, not int",
        ),
        ("Certificate.check", {"crls": 5}, "crls is a list of revocation lists, .*, not int"),
        ("Certificate.check", {"crls": [object()]}, "each a RevocationList or one of cryptography, not object"),
        ("StoreEntry.check", {"crls": b"DER"}, "crls is a list of revocation lists, .* put it into a list"),
        ("check_endpoint", {"silence": 5}, "silence is a mapping of finding codes to reasons, .*, not int"),
        ("check_many", {"extra_rules": [5]}, "extra_rules is a list of functions of a RuleContext, not int"),
        ("Certificate.check", {"facts": {}}, "facts are ServerFacts, not dict"),
        ("check_many", {"client": "python"}, r"a client is one of python-3\.13, .*, not 'python'"),
        ("CertificateAuthority.create", {"permitted": "corp.test"}, "not str alone; put it into a list"),
        (
            "CertificateAuthority.create",
            {"country": "Germany"},
            "country is a country's two letters, .*, not 'Germany'",
        ),
        ("CertificateAuthority.issue", {"organization": 5}, "organization is text of at least one character, not 5"),
        ("CertificateAuthority.issue", {"subject": "O=x"}, "subject is a cryptography x509.Name, not str"),
        ("Certificate.check", {"trust": World.ca}, "not CertificateAuthority alone; put it into a list"),
        ("Certificate.check", {"trust": "ca.cer"}, r"not 'ca.cer'; for a file: trust=\[Certificate.load\(...\)\]"),
        ("Store.remove", {"thumbprint": World.certificate}, "not Certificate; give its .thumbprint"),
        (
            "Store.remove",
            {"thumbprint": "a.test"},
            r"; Certificate.load reads a file, Store.find",
        ),
        ("deploy", {"certificate": "s.pfx"}, "; Certificate.load reads a file"),
        ("CertificateAuthority.create", {"common_name": "CN=Mine"}, "without CN= in front, not as 'CN=Mine'"),
        ("CertificateAuthority.issue_client", {"emails": "a@b.test"}, "not str alone; put it into a list"),
        ("CertificateAuthority.issue_many", {"names": None}, "names is a list with a name, .*, not NoneType"),
        ("CertificateAuthority.sign", {"request": None}, r"needed \(CertificateRequest.load reads one\), not NoneType"),
        ("EmbeddedMachine.listen", {"ports": 5}, "for example {443: 8443}, not int"),
        ("EmbeddedMachine.listen", {"host": None}, "host is an address or a list of them, .*, not NoneType"),
        ("PfxExplanation.readable_by", {"name": "amiga"}, "a system is one of windows-server-.*; not 'amiga'"),
        ("explain_pfx", {"data": "a.pfx"}, "the bytes of a PFX are needed .*, not str"),
        ("timeline", {"certificates": [5]}, "a timeline is made of a list of certificates"),
        ("timeline", {"at": "today"}, "at is an aware datetime"),
        ("renew", {"grace": 5}, r"grace is a timedelta from 0 up, such as timedelta\(days=30\), not 5"),
        ("deploy", {"restart": "W3SVC"}, "restart is a list of service names.* put it into a list"),
        ("deploy", {"audit_log": 5}, "the path of a file is needed, not int"),
    ],
)
def test_the_message_says_what_was_expected(
    world: World, name: str, arguments: dict[str, object], message: str
) -> None:
    """Not only the right class: the words that help."""
    call = CALLS[name](world)
    call.bound.arguments.update(arguments)
    with pytest.raises(mlsssl.InvalidInputError, match=message):
        call.make()


def test_what_is_let_through_is_seen(world: World) -> None:
    """An argument that is used without being looked at is found, by name; one that is refused properly is not."""

    def careless(text: str, number: int = 1) -> str:
        return text.upper() + mlsssl.IpPort("0.0.0.0", number).address

    found = _offences("careless", lambda: Call(careless, "a"))
    assert found[0] == "careless(text=None): AttributeError: 'NoneType' object has no attribute 'upper'"
    assert {one.partition("=")[0] for one in found} == {"careless(text"}


@pytest.mark.parametrize("module", [mlsssl, bundles, ccs, hooks, hooks.command, hooks.files, hooks.windows, netsh])
def test_every_public_name_is_tried(module: ModuleType) -> None:
    """Whatever takes an argument is in the table of calls, or among those left out for a reason."""
    prefix = module.__name__.partition(".")[2]
    tried = {*CALLS, *" ".join(LEFT_OUT.values()).split()}
    missing = [name for name in _with_arguments(module, f"{prefix}." if prefix else "") if name not in tried]
    assert missing == []


def _with_arguments(module: ModuleType, prefix: str) -> Iterator[str]:
    """The public functions, classes and methods of a module that take an argument."""
    for name in module.__all__:
        value = getattr(module, name)
        kinds = (Exception, enum.Enum)
        if not callable(value) or typing.get_args(value) or (isinstance(value, type) and issubclass(value, kinds)):
            continue
        if inspect.signature(value).parameters:
            yield f"{prefix}{name}"
        for method, member in inspect.getmembers(value, inspect.isroutine):
            if method.startswith("_") or not str(getattr(member, "__module__", "")).startswith("mlsssl"):
                continue
            static = isinstance(inspect.getattr_static(value, method), staticmethod)
            takes_self = inspect.isfunction(member) and isinstance(value, type) and not static
            if len(inspect.signature(member).parameters) > takes_self:
                yield f"{prefix}{name}.{method}"
