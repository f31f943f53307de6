"""The tables of the machine's file, and what stands in them from the start."""

from __future__ import annotations

APPLICATION_ID = 0x6D6C7373
"""What SQLite keeps in the file's header as its owner: `mlss` in ASCII."""

_BOTH = (
    "AddressBook",
    "AuthRoot",
    "CA",
    "ClientAuthIssuer",
    "Disallowed",
    "MY",
    "Root",
    "SmartCardRoot",
    "Trust",
    "TrustedPeople",
    "TrustedPublisher",
)
STANDARD_STORES = tuple(
    [("LocalMachine", name) for name in (*_BOTH, "Remote Desktop", "WebHosting")]
    + [("CurrentUser", name) for name in (*_BOTH, "UserDS")]
)
"""The system stores that a Windows with IIS has; any other is made on request."""

_FIRST = (
    """
    CREATE TABLE stores (
        id INTEGER PRIMARY KEY,
        location TEXT NOT NULL,
        name TEXT NOT NULL,
        folded TEXT NOT NULL, -- the name as it is compared
        UNIQUE (location, folded)
    )
    """,
    # What a lookup tells about a key is apart from the key itself, and small: 100,000 of these stay in the page cache.
    # `persisted` is 0 for what Windows calls an ephemeral key; such a one has no material.
    # `kept` marks a key whose certificate was removed without it, on purpose; `recover` leaves it alone.
    """
    CREATE TABLE keys (
        container TEXT PRIMARY KEY,
        provider TEXT NOT NULL,
        machine_keyset INTEGER NOT NULL,
        exportable INTEGER NOT NULL,
        public_key BLOB NOT NULL, -- SHA-256 of the SubjectPublicKeyInfo
        persisted INTEGER NOT NULL DEFAULT 1,
        kept INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    "CREATE TABLE key_material (container TEXT PRIMARY KEY, pkcs8 BLOB NOT NULL)",
    """
    CREATE TRIGGER keys_leave_no_material AFTER DELETE ON keys
    BEGIN DELETE FROM key_material WHERE container = OLD.container; END
    """,
    """
    CREATE TRIGGER ephemeral_keys_have_no_material AFTER UPDATE OF persisted ON keys WHEN NOT NEW.persisted
    BEGIN DELETE FROM key_material WHERE container = NEW.container; END
    """,
    "CREATE INDEX keys_by_public_key ON keys (public_key)",
    # `container` may name a key that is not there, as CERT_KEY_PROV_INFO may.
    """
    CREATE TABLE certificates (
        id INTEGER PRIMARY KEY,
        store INTEGER NOT NULL REFERENCES stores (id),
        thumbprint BLOB NOT NULL,
        public_key BLOB NOT NULL,
        subject BLOB NOT NULL, -- SHA-256 of the subject's DER, for finding issuers
        friendly_name TEXT,
        archived INTEGER NOT NULL DEFAULT 0,
        container TEXT,
        renewed_by BLOB,
        der BLOB NOT NULL,
        UNIQUE (store, thumbprint)
    )
    """,
    "CREATE INDEX certificates_by_thumbprint ON certificates (thumbprint)",
    "CREATE INDEX certificates_by_subject ON certificates (subject, store)",
    "CREATE INDEX certificates_by_container ON certificates (container) WHERE container IS NOT NULL",
    # The numbers are those of HTTP_SERVICE_CONFIG_SSL_PARAM, so that no bit without a name is lost.
    """
    CREATE TABLE bindings (
        family TEXT NOT NULL,
        host TEXT NOT NULL, -- the IP address or host name; empty for ccs
        port INTEGER NOT NULL,
        thumbprint BLOB,
        store_name TEXT,
        app_id TEXT NOT NULL,
        flags INTEGER NOT NULL,
        check_mode INTEGER NOT NULL,
        freshness_seconds INTEGER NOT NULL,
        timeout_milliseconds INTEGER NOT NULL,
        ctl_identifier TEXT,
        ctl_store_name TEXT,
        PRIMARY KEY (family, host, port)
    )
    """,
    """
    CREATE TABLE services (
        name TEXT PRIMARY KEY COLLATE NOCASE,
        state INTEGER NOT NULL, -- where it is, or where it is going to
        changed_at REAL NOT NULL, -- when it was told to go there, in seconds since 1970
        takes REAL NOT NULL, -- how long it is on its way
        start_error INTEGER NOT NULL DEFAULT 0,
        exit_code INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE dependencies (
        service TEXT NOT NULL COLLATE NOCASE,
        needs TEXT NOT NULL COLLATE NOCASE,
        PRIMARY KEY (service, needs)
    )
    """,
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)

_SECOND = (
    """
    CREATE TABLE crls (
        id INTEGER PRIMARY KEY,
        store INTEGER NOT NULL REFERENCES stores (id),
        digest BLOB NOT NULL, -- SHA-256 of the DER
        der BLOB NOT NULL,
        UNIQUE (store, digest)
    )
    """,
)

_THIRD = (
    # What besides SYSTEM and the administrators, who may do everything, is in a key's access list.
    """
    CREATE TABLE key_access (
        container TEXT NOT NULL,
        sid TEXT NOT NULL,
        name TEXT NOT NULL, -- the account's, as it was found when it was let in
        access TEXT NOT NULL, -- read or full
        PRIMARY KEY (container, sid)
    ) WITHOUT ROWID
    """,
    """
    CREATE TRIGGER keys_leave_no_access AFTER DELETE ON keys
    BEGIN DELETE FROM key_access WHERE container = OLD.container; END
    """,
)

_FOURTH = (
    # The key of a certificate request that its owner has not released yet: nothing else deletes it.
    "ALTER TABLE keys ADD COLUMN requested INTEGER NOT NULL DEFAULT 0",
)

_FIFTH = (
    """
    CREATE TABLE reservations (
        url TEXT NOT NULL, -- as it was written
        folded TEXT PRIMARY KEY, -- as it is compared
        sddl TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE TABLE listen_addresses (address TEXT PRIMARY KEY) WITHOUT ROWID",
    # `id` and `key` are HTTP_SERVICE_CONFIG_ID and the key within it.
    "CREATE TABLE http_numbers (id INTEGER, key INTEGER, value INTEGER NOT NULL, PRIMARY KEY (id, key)) WITHOUT ROWID",
)

_SIXTH = (
    # What a look-up by host goes by; see `names.py`. Under the empty name is what each look-up has to look at itself.
    """
    CREATE TABLE names (
        store INTEGER NOT NULL,
        name TEXT NOT NULL, -- in the form of `hosts.filed_under`
        certificate INTEGER NOT NULL, -- certificates.id
        PRIMARY KEY (store, name, certificate)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX names_by_certificate ON names (certificate)",
    # An earlier version that still has the file open adds certificates, and knows nothing of names.
    """
    CREATE TRIGGER certificates_have_the_empty_name AFTER INSERT ON certificates
    BEGIN INSERT INTO names (store, name, certificate) VALUES (NEW.store, '', NEW.id); END
    """,
    """
    CREATE TRIGGER certificates_leave_no_names AFTER DELETE ON certificates
    BEGIN DELETE FROM names WHERE certificate = OLD.id; END
    """,
)

STEPS = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH)
"""What takes a file from each version to the next; an empty file has version 0. A step is never changed, only added."""

NAMES_SINCE = 6
"""The version from which on `names` has the names of every certificate: what goes up to it reads them all once."""

VERSION = len(STEPS)
"""Of a file that all steps were done to. One with a higher number was written by a later version of this library."""
