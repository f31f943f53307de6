"""Making certificates, keys, requests and revocation lists: pure, from values given."""
