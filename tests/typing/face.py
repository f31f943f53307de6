"""The contract of the face, typed: what each call takes and gives."""

from __future__ import annotations

import datetime as dt
import ssl
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from typing_extensions import assert_type

import mlsssl
from mlsssl import (
    AdcsIssuer,
    Audit,
    Binding,
    BindingFamily,
    BindingOptions,
    CcsPort,
    Certificate,
    CertificateAuthority,
    CertificateChain,
    CertificateReference,
    CertificateRequest,
    CommandIssuer,
    Diagnosis,
    EmbeddedMachine,
    EndpointReport,
    Finding,
    HostnamePort,
    IpPort,
    IssuePendingError,
    Issuer,
    KeyAccess,
    Listener,
    Machine,
    NativeError,
    NotFoundError,
    Outcome,
    Plan,
    Renewals,
    RenewalSource,
    Report,
    RevocationList,
    ScopedCcs,
    Severity,
    Store,
    StoreEntry,
    Thumbprint,
    Timeline,
    UnusableCertificateError,
    UrlPrefix,
    UrlReservation,
    ValidationError,
    ccs,
    deploy,
    hooks,
    netsh,
    renew,
    renew_due,
)
from mlsssl.hooks.command import CommandHook
from mlsssl.hooks.files import PemFiles, PfxFile
from mlsssl.hooks.windows import RdpListener


def acme_servers() -> None:
    webroot = mlsssl.WebrootChallenge("site")
    solvers: list[mlsssl.ChallengeSolver] = [webroot, mlsssl.SocketChallenge(), mlsssl.DnsChallenge(print, print)]
    acme = mlsssl.AcmeIssuer("letsencrypt", solvers, contact=["ops@example.com"], external_account=("id", "key"))
    issuer: mlsssl.Issuer = acme
    times: mlsssl.RenewalTimes = acme
    certificate = issuer.issue(CertificateRequest.create("a.test"), old=None)
    assert_type(certificate, Certificate)
    assert_type(times.renewal_time(certificate), dt.datetime | None)
    assert_type(acme.issued(certificate), bool)


def certificates() -> None:
    ca = CertificateAuthority.create("SelfIssuedCA", key="ec-p256", permitted=["corp.test"])
    certificate = ca.issue("server-name.com", "10.0.0.5", days=90, at=dt.datetime.now(dt.timezone.utc))
    assert_type(certificate, Certificate)
    organization = CertificateAuthority.create("Root", organization="Example", country="DE", subject=None)
    client = organization.issue_client("Alice", emails=["alice@example.com"], user_principal_name="alice@corp.test")
    assert_type(client, Certificate)
    assert_type(client.check(trust=[organization], purpose="client"), Report)
    assert_type(CertificateRequest.create("a.test", organization="Example"), CertificateRequest)
    assert_type(ca.issue("a.test", subject=x509.Name([])), Certificate)
    assert_type(certificate.save("SelfIssuedSSL.pfx", password="secret"), Path)
    assert_type(ca.save("SelfIssuedCA.pfx", password="secret", overwrite=True), Path)
    assert_type(EmbeddedMachine("machine.sqlite", create=False), EmbeddedMachine)
    assert_type(Machine.local(create=False), Machine)
    certificate.save("SelfIssuedSSL.pfx", overwrite="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    EmbeddedMachine("machine.sqlite", False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert_type(Certificate.load(Path("SelfIssuedSSL.pfx"), password="secret"), Certificate)
    assert_type(certificate.names, tuple[str, ...])
    assert_type(certificate.chain, CertificateChain)
    assert_type(certificate.thumbprint, Thumbprint)
    assert_type(certificate.not_after, dt.datetime)
    assert_type(certificate.ssl_context(), ssl.SSLContext)
    assert_type(certificate.to_pfx("secret", readable_by="windows-server-2016"), bytes)
    assert_type(certificate.to_pfx(None, no_password=True), bytes)
    assert_type(certificate.save("open.pfx", no_password=True), Path)
    assert_type(Certificate.load("several.pfx", password="secret", alias="www").left_out, tuple[str, ...])
    assert_type(Certificate.from_pfx(b"", "secret", alias="www"), Certificate)
    assert_type(CertificateAuthority.load("several.pfx", alias="root"), CertificateAuthority)
    assert_type(ca.issue_many(["a.test", ("b.test", "c.test")], progress=print), Iterator[Certificate])
    request = CertificateRequest.create("server-name.com")
    assert_type(ca.sign(request), Certificate)


def reports(certificate: Certificate, ca: CertificateAuthority) -> None:
    report = certificate.check("server-name.com", trust=[ca], profile="public")
    report = certificate.check("server-name.com", trust=[ca], client="python-3.13")
    assert_type(report, Report)
    assert_type(report.ok, bool)
    assert_type(report.errors, tuple[Finding, ...])
    assert_type(report.raise_for_errors(), Report)
    for finding in report:
        assert_type(finding.code, str)
        assert_type(finding.severity, Severity)
    assert_type(mlsssl.check_endpoint("server-name.com:443", trust=[ca]), EndpointReport)
    assert_type(mlsssl.timeline([certificate]), Timeline)


def stores(certificate: Certificate, machine: Machine) -> None:
    with Store.open("MY", location="LocalMachine", machine=machine) as store:
        entry = store.add(certificate, friendly_name="Server")
        assert_type(entry, StoreEntry)
        assert_type(store.import_pfx(b"", password="secret", alias="www"), StoreEntry)
        assert_type(store[entry.thumbprint], StoreEntry)
        assert_type(store[str(entry.thumbprint)].has_private_key, bool)
        assert_type(store.find(host="server-name.com"), StoreEntry | None)
        assert_type(list(store), list[StoreEntry])
        assert_type(entry.key_access, tuple[KeyAccess, ...])
        assert_type(store.grant_key_access(entry.thumbprint, "NETWORK SERVICE"), tuple[KeyAccess, ...])
        assert_type(len(store), int)
        assert_type(entry.thumbprint in store, bool)
        store.remove(entry.thumbprint)
        assert_type(store.add_crl("list.crl"), tuple[RevocationList, ...])
        for crl in store.crls():
            assert_type(store.add_crl(crl), tuple[RevocationList, ...])
            certificate.check(crls=[crl], revocation="hard")
            store.remove_crl(crl)
        store.remove_crl(Thumbprint("00" * 20))


def bindings(certificate: Certificate, entry: StoreEntry) -> None:
    binding = Binding("0.0.0.0:443", certificate, options=BindingOptions(tls13=False)).add()
    assert_type(binding, Binding)
    assert_type(binding.key, IpPort | HostnamePort | CcsPort | ScopedCcs)
    assert_type(binding.thumbprint, Thumbprint | None)
    assert_type(binding.app_id, uuid.UUID)
    assert_type(binding.family, BindingFamily)
    assert_type(Binding.get(HostnamePort("server-name.com", 443)), Binding)
    assert_type(Binding.find(CcsPort(443)), Binding | None)
    assert_type(Binding.all(), list[Binding])
    assert_type(binding.with_certificate(entry).update(), Binding)
    assert_type(binding.diagnose(), tuple[Diagnosis, ...])


def verbs(certificate: Certificate, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    plan = deploy.plan("0.0.0.0:443", certificate, machine=machine, on_conflict="fail")
    assert_type(plan, Plan)
    assert_type(plan.apply(), Outcome)
    outcome = deploy("0.0.0.0:443", certificate, machine=machine, restart=["Demo"])
    assert_type(outcome, Outcome)
    assert_type(deploy("0.0.0.0:443", certificate, options=lambda present: replace(present, tls13=False)), Outcome)
    assert_type(outcome.changed, bool)
    assert_type(outcome.before, Binding | None)
    assert_type(outcome.after, Binding)
    assert_type(outcome.undo(), Outcome[Binding | None])
    assert_type(outcome.undo().after, Binding | None)
    assert_type(deploy("0.0.0.0:443", certificate).after.options, BindingOptions)
    assert_type(renew("0.0.0.0:443", ca, machine=machine).after.certificate, Certificate | None)
    assert_type(deploy.plan("0.0.0.0:443", certificate).apply().after.thumbprint, Thumbprint | None)
    last = mlsssl.last_outcome("0.0.0.0:443", machine=machine)
    if last is not None:
        assert_type(last.after, Binding)
    ca.issue_client()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ca.issue("a.test", organisation="Example")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    ca.issue("a.test", country=49)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    ca.issue("a.test").check(purpose="clients")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    deploy()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    deploy.plan("0.0.0.0:443")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    renew("0.0.0.0:443", ca, machin=machine)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    renew.plan()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert_type(renew("0.0.0.0:443", ca, machine=machine), Outcome)
    assert_type(renew("0.0.0.0:443", lambda old: ca.issue(*old.hosts)), Outcome)
    assert_type(renew.plan("0.0.0.0:443", ca, machine=machine, days=90), Plan)
    assert_type(renew("0.0.0.0:443", certificate, everywhere=True).also, tuple[Binding, ...])
    renew("0.0.0.0:443", certificate, everywhere="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    renew("0.0.0.0:443", certificate, everwhere=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    (renewal,) = mlsssl.renew_due(ca, machine=machine, profile="public", force=True, verify=False, everywhere=True)
    assert_type(renewal.findings, tuple[mlsssl.Finding, ...])
    assert_type(ca.renew(), mlsssl.RenewedAuthority)
    assert_type(ca.renew(key="ec-p256").bridge, CertificateAuthority | None)
    ca.renew().bridge.issue("a.test")  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    ca.renew(key="ec-256")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ca.renew(issuer=certificate)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(mlsssl.audit(machine=machine), Audit)
    assert_type(mlsssl.audit(listing=b"...").notes, tuple[str, ...])
    mlsssl.audit(listing=Path("dump.txt"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(netsh.parse_script("...").passed_over, tuple[netsh.PassedOver, ...])
    assert_type(netsh.parse_script(b"...")[0], netsh.NetshCommand | netsh.HttpCommand)
    assert_type(ccs.read_folder("share", None)[0].certificate, Certificate | None)
    ccs.check_folder("share", None, readable_by=2016)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with machine.listen(ports={443: 0}) as listener:
        assert_type(listener, Listener)
        assert_type(listener.port_of("0.0.0.0:443"), int)


class SigningDesk:
    """An issuer of somebody's own, by its shape alone."""

    name = "signing desk"

    def issue(self, request: CertificateRequest, /, *, old: Certificate | None) -> Certificate:
        raise IssuePendingError(f"{request.fingerprint} {old}", issuer=self.name)

    def issued(self, certificate: Certificate) -> bool:
        return certificate.issuer == self.name


def issuers(machine: EmbeddedMachine, root: Certificate, request: CertificateRequest) -> None:
    command = CommandIssuer(["sign", "--quiet"], issued_by=root, timeout=30, environment={"A": "b"})
    several = CommandIssuer(("sign",), issued_by=[root, root], name="desk")
    adcs = AdcsIssuer(r"HOST\CA", template="WebServer", request_id=5, state=Path("state"))
    both: list[Issuer] = [command, several, adcs, SigningDesk(), CertificateAuthority.create("A")]
    assert_type(command.issue(request, old=None), Certificate)
    assert_type(adcs.issued(root), bool)
    assert_type(renew_due(adcs, machine=machine, dry_run=True), Renewals)
    for issuer in both:
        assert_type(renew("0.0.0.0:443", issuer, machine=machine), Outcome)
        assert_type(deploy("0.0.0.0:443", issuer, host=["a.test", "b.test"], key_type="ec-p256"), Outcome)
    deploy("0.0.0.0:443", adcs, key_type="ec-p999")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    CommandIssuer(["sign"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    CommandIssuer(["sign"], issued_by=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    AdcsIssuer("A", request_id="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    renew_due(object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrapped(reference: CertificateReference, source: RenewalSource) -> None:
    """What users annotate their own functions with."""
    references: list[CertificateReference] = ["00" * 20, bytes(20), Thumbprint("00" * 20)]
    assert_type(deploy("0.0.0.0:443", reference), Outcome)
    assert_type([Binding("0.0.0.0:443", one) for one in references], list[Binding])
    assert_type(renew("0.0.0.0:443", source), Outcome)


def errors() -> None:
    try:
        Binding.get("0.0.0.0:443").update()
    except UnusableCertificateError as error:
        assert_type(error.diagnosis, tuple[object, ...])
    except NativeError as error:
        assert_type(error.code, int)
    except (NotFoundError, LookupError) as error:
        print(error)
    except ValidationError as error:
        print(error.report)


def steps(ca: CertificateAuthority) -> None:
    def tell(replacement: hooks.Replacement) -> int:
        assert_type(replacement.new, Thumbprint | None)
        assert_type(replacement.hosts, tuple[str, ...])
        assert_type(replacement.certificate_with_key(), Certificate)
        return 5  # ignored

    command = CommandHook(["reload", "--now"], timeout=5)
    steps: list[hooks.Hook] = [
        tell,
        command,
        PfxFile("a.pfx", password_env="PW"),
        PemFiles(".", "nginx"),
        RdpListener(),
    ]
    outcome = renew("0.0.0.0:443", ca, hooks=steps, after_failure="undo")
    assert_type(outcome.undo(hooks=[command]), Outcome[Binding | None])


def reservations(machine: Machine, certificate: Certificate) -> None:
    made = UrlReservation("https://+:443/mls/", user=["NT SERVICE\\MLS", "S-1-5-20"], delegate=True, machine=machine)
    assert_type(made.add().update(), UrlReservation)
    assert_type(made.url, UrlPrefix)
    assert_type(made.grants[0].sid, str | None)
    assert_type(machine.reservations["https://+:443/mls/"], UrlReservation)
    assert_type(machine.reservations.find(made.url), UrlReservation | None)
    assert_type(deploy("0.0.0.0:443", certificate, reserve=made), Outcome)
    assert_type(deploy.plan("0.0.0.0:443", certificate, reserve="https://+:443/", user="SYSTEM"), Plan)
    assert_type(mlsssl.HttpTimeouts.get(machine=machine), mlsssl.HttpTimeouts)
    assert_type(mlsssl.HttpTimeouts(idle_connection=dt.timedelta(minutes=2)).set(), mlsssl.HttpTimeouts)
    assert_type(list(mlsssl.IpListenList()), list[str])
    assert_type(netsh.parse_http_command("netsh http show urlacl"), netsh.HttpCommand)
    assert_type(netsh.parse_urlacl_listing(b"").records[0].sddl, str)
