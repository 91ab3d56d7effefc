"""An issuer that signs whatever it is told to, as no good one would."""

import hmac
import json
import time
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from threading import Thread

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import PublicFormat
from jwt.algorithms import ECAlgorithm
from jwt.algorithms import RSAAlgorithm
from jwt.utils import base64url_encode


class Issuer:
    """Publishes an RSA key and an EC key. Another one of each it keeps to itself."""

    def __init__(self):
        keys = {"rsa": rsa.generate_private_key(65537, 2048), "ec": ec.generate_private_key(ec.SECP256R1())}
        self._keys = keys | {"unpublished": rsa.generate_private_key(65537, 2048)}
        public = [RSAAlgorithm.to_jwk(keys["rsa"].public_key()), ECAlgorithm.to_jwk(keys["ec"].public_key())]
        named = zip(public, ("rsa", "ec"), ("RS256", "ES256"))
        jwks = {"keys": [json.loads(key) | {"kid": kid, "alg": alg, "use": "sig"} for key, kid, alg in named]}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if self.path == "/.well-known/jwks.json" else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(jwks).encode())

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def token(self, resource: str, key: str = "rsa", alg: str = "RS256", typ: str | None = "at+jwt", **claims) -> str:
        """A good token for this resource, but for what is said. `None` leaves a claim out."""
        now = int(time.time())
        good = {
            "iss": self.url,
            "aud": resource,
            "sub": "tenant:object",
            "exp": now + 900,
            "iat": now,
            "nbf": now,
            "client_id": "client",
            "scope": "mcp.read",
            "tid": "tenant",
            "oid": "object",
        }
        said = {name: value for name, value in (good | claims).items() if value is not None}
        if alg == "HS256":
            return self._with_a_mac(said, {"alg": alg, "kid": key, "typ": typ})
        return jwt.encode(said, None if alg == "none" else self._keys[key], alg, {"kid": key, "typ": typ})

    def _with_a_mac(self, claims: dict, header: dict) -> str:
        """As an attacker would make one, with the public key for a secret. No library goes along with that."""
        secret = self._keys["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        parts = [base64url_encode(json.dumps(part).encode()) for part in (header, claims)]
        mac = hmac.digest(secret, b".".join(parts), "sha256")
        return b".".join([*parts, base64url_encode(mac)]).decode()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
