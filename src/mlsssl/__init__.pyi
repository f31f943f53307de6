"""The public names for type checkers, each from its module; `__init__.py` names the same for Python."""

from mlsssl._version import __version__ as __version__
from mlsssl._embedded.listener.connection import Limits as Limits
from mlsssl._embedded.listener.listener import Listener as Listener
from mlsssl._issue.lifetimes import ShortenedWarning as ShortenedWarning
from mlsssl._issue.requests import RequestPolicy as RequestPolicy
from mlsssl._formats.described import CertificateDiff as CertificateDiff
from mlsssl._formats.pkcs12.explain import PfxExplanation as PfxExplanation, explain_pfx as explain_pfx
from mlsssl._machine.ports import (
    Cause as Cause,
    Diagnosis as Diagnosis,
    KeyAccess as KeyAccess,
    KeyState as KeyState,
    ServiceState as ServiceState,
    ServiceStatus as ServiceStatus,
)
from mlsssl.revocation_list import RevocationList as RevocationList, RevokedEntry as RevokedEntry
from mlsssl._notebook.timeline import Timeline as Timeline, timeline as timeline
from mlsssl._validator.profiles import PROFILES as PROFILES, Profile as Profile
from mlsssl._validator.report import Finding as Finding, Report as Report, Severity as Severity
from mlsssl._validator.validate import RuleContext as RuleContext, ServerFacts as ServerFacts, UserRule as UserRule
from mlsssl.auditing import Audit as Audit, AuditReservation as AuditReservation, AuditRow as AuditRow, audit as audit
from mlsssl.authority import CertificateAuthority as CertificateAuthority, RenewedAuthority as RenewedAuthority
from mlsssl.binding import Binding as Binding, Bindings as Bindings, CertificateReference as CertificateReference
from mlsssl.bulk import check_many as check_many
from mlsssl.certificate import (
    Certificate as Certificate,
    CertificateChain as CertificateChain,
)
from mlsssl.deployment import (
    Failure as Failure,
    Outcome as Outcome,
    Plan as Plan,
    Step as Step,
    deploy as deploy,
    last_outcome as last_outcome,
    recover as recover,
)
from mlsssl.endpoint import EndpointReport as EndpointReport, check_endpoint as check_endpoint
from mlsssl.errors import (
    AccessDeniedError as AccessDeniedError,
    BindingError as BindingError,
    BindingExistsError as BindingExistsError,
    BindingNotFoundError as BindingNotFoundError,
    ClosedError as ClosedError,
    DeploymentError as DeploymentError,
    EndpointError as EndpointError,
    ExistsError as ExistsError,
    HookError as HookError,
    InvalidInputError as InvalidInputError,
    IssuePendingError as IssuePendingError,
    IssuerError as IssuerError,
    ListenerError as ListenerError,
    MalformedDataError as MalformedDataError,
    MlssslError as MlssslError,
    NativeError as NativeError,
    NotFoundError as NotFoundError,
    ReservationError as ReservationError,
    ReservationExistsError as ReservationExistsError,
    ReservationNotFoundError as ReservationNotFoundError,
    ServiceError as ServiceError,
    ServiceNotFoundError as ServiceNotFoundError,
    StoreClosedError as StoreClosedError,
    StoreError as StoreError,
    StoreNotFoundError as StoreNotFoundError,
    UnreadableCertificateError as UnreadableCertificateError,
    UnsupportedError as UnsupportedError,
    UnusableCertificateError as UnusableCertificateError,
    ValidationError as ValidationError,
    WrongPasswordError as WrongPasswordError,
)
from mlsssl.issuers import Issuer as Issuer, RenewalTimes as RenewalTimes
from mlsssl.issuers.acme import AcmeIssuer as AcmeIssuer
from mlsssl.issuers.challenges import (
    ChallengeSolver as ChallengeSolver,
    DnsChallenge as DnsChallenge,
    HttpSysChallenge as HttpSysChallenge,
    SettlingSolver as SettlingSolver,
    SocketChallenge as SocketChallenge,
    TlsAlpnChallenge as TlsAlpnChallenge,
    WebrootChallenge as WebrootChallenge,
)
from mlsssl.issuers.adcs import AdcsIssuer as AdcsIssuer
from mlsssl.issuers.command import CommandIssuer as CommandIssuer
from mlsssl.machine import EmbeddedMachine as EmbeddedMachine, Machine as Machine, WindowsMachine as WindowsMachine
from mlsssl._notebook.progress import progress_bar as progress_bar
from mlsssl.renewal import (
    Renewal as Renewal,
    RenewalSource as RenewalSource,
    Renewals as Renewals,
    renew as renew,
    renew_due as renew_due,
)
from mlsssl.request import CertificateRequest as CertificateRequest
from mlsssl.reservation import (
    HttpLimits as HttpLimits,
    HttpTimeouts as HttpTimeouts,
    IpListenList as IpListenList,
    UrlGrant as UrlGrant,
    UrlPrefix as UrlPrefix,
    UrlReservation as UrlReservation,
    UrlReservations as UrlReservations,
)
from mlsssl.service import Service as Service, Services as Services
from mlsssl.store import Store as Store, StoreEntry as StoreEntry
from mlsssl.superseded import Cleanup as Cleanup, Kept as Kept, cleanup as cleanup
from mlsssl.values import KeyType as KeyType, Location as Location, OnConflict as OnConflict, Thumbprint as Thumbprint
from mlsssl._formats.binding_keys import (
    BindingFamily as BindingFamily,
    BindingKey as BindingKey,
    BindingOptions as BindingOptions,
    CcsPort as CcsPort,
    HostnamePort as HostnamePort,
    IpPort as IpPort,
    ScopedCcs as ScopedCcs,
)
