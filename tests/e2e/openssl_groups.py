"""The groups of TLS 1.3 as a scan names them, and as OpenSSL does."""

GROUPS = {
    "X25519MLKEM768": "X25519MLKEM768",
    "SecP256r1MLKEM768": "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024": "SecP384r1MLKEM1024",
    "MLKEM512": "MLKEM512",
    "MLKEM768": "MLKEM768",
    "MLKEM1024": "MLKEM1024",
    "X25519": "X25519",
    "secp256r1": "secp256r1",
    "x448": "X448",
    "secp384r1": "secp384r1",
    "secp521r1": "secp521r1",
    "ffdhe2048": "ffdhe2048",
    "ffdhe3072": "ffdhe3072",
}
