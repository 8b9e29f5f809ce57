"""An identity provider: discovery, authorize, token, keys and userinfo, with signed ID tokens.

Whoever comes is signed in at once as the person that the test chose. Codes are good once, for the
client and the address that they were given to, and by PKCE for who began.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "cityloom"
CLIENT_SECRET = "the-secret-of-the-client"


class Provider(ThreadingHTTPServer):
    """A running provider; `person` and `fault` say what the next sign-in brings.

    `person`: claims of the ID token, `more`: of the userinfo endpoint. `fault`: what is wrong with
    the ID token. `is_down`: it answers with an error. `named`: the issuer that it says it is.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.person: dict[str, Any] = {}
        self.more: dict[str, Any] = {}
        self.fault = ""
        self.is_down = False
        self.named = self.issuer
        self.codes: dict[str, dict[str, str]] = {}
        # Longer than a cookie may be.
        self.access_token = secrets.token_urlsafe(4500)

    def signs_in(self, fault: str = "", more: dict[str, Any] | None = None, **person: Any) -> None:
        """Choose whom the provider names from now on."""
        self.person = {"sub": "s-1", **person}
        self.more, self.fault = more or {}, fault

    def id_token(self, nonce: str) -> str:
        """Return the ID token of the person, with the fault that the test chose."""
        now = int(time.time())
        claims = {
            **{"iss": self.issuer, "aud": CLIENT_ID, "nonce": nonce, "iat": now, "exp": now + 300},
            **self.person,
        }
        key, header = self.key, {"alg": "RS256", "kid": "one"}
        match self.fault:
            case "signature":
                key = RSAKey.generate_key(2048, {"kid": "one"})
            case "unknown key":
                key = RSAKey.generate_key(2048, {"kid": "two"})
                header["kid"] = "two"
            case "public key as secret":
                signed = _unsigned({"alg": "HS256", "kid": "one"}, claims)
                secret = self.key.as_pem(private=False)
                return f"{signed}.{_base64(hmac.digest(secret, signed.encode(), 'sha256'))}"
            case "no signature":
                return _unsigned({"alg": "none", "kid": "one"}, claims) + "."
            case "nonce":
                claims["nonce"] = "another"
            case "no nonce":
                del claims["nonce"]
            case "audience":
                claims["aud"] = "another-client"
            case "audience, we are its party":
                claims |= {"aud": "another-client", "azp": CLIENT_ID}
            case "issuer":
                claims["iss"] = "https://another.example"
            case "expired":
                claims |= {"iat": now - 7200, "exp": now - 3600}
        return jwt.encode(header, claims, key)


class Answer(BaseHTTPRequestHandler):
    """The provider's pages."""

    server: Provider

    def do_GET(self) -> None:
        own, url = self.server, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if own.is_down:
            self._json({}, 503)
        elif url.path == "/.well-known/openid-configuration":
            self._json(
                {
                    "issuer": own.named,
                    "authorization_endpoint": f"{own.issuer}/authorize",
                    "token_endpoint": f"{own.issuer}/token",
                    "jwks_uri": f"{own.issuer}/keys",
                    "userinfo_endpoint": f"{own.issuer}/userinfo",
                    # More than a client must trust.
                    "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                }
            )
        elif url.path == "/keys":
            self._json({"keys": [own.key.as_dict(private=False, use="sig")]})
        elif url.path == "/authorize":
            assert query["client_id"] == CLIENT_ID and query["response_type"] == "code"
            assert query["code_challenge_method"] == "S256" and query["nonce"]
            code = secrets.token_urlsafe()
            own.codes[code] = query
            back = urlencode({"code": code, "state": query["state"]})
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}?{back}")
            self.end_headers()
        elif url.path == "/userinfo":
            known = self.headers["Authorization"] == f"Bearer {own.access_token}"
            self._json(
                {"sub": own.person["sub"], **own.more} if known else {}, 200 if known else 401
            )
        else:
            self._json({}, 404)

    def do_POST(self) -> None:
        own = self.server
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        client = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = own.codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if self.headers["Authorization"] != f"Basic {client}":
            self._json({"error": "invalid_client"}, 401)
        elif (
            asked is None
            or form["redirect_uri"] != asked["redirect_uri"]
            or _base64(verifier) != asked["code_challenge"]
        ):
            self._json({"error": "invalid_grant"}, 400)
        else:
            token = {"access_token": own.access_token, "token_type": "Bearer", "expires_in": 300}
            id_token = (
                {} if own.fault == "no ID token" else {"id_token": own.id_token(asked["nonce"])}
            )
            self._json({**token, **id_token})

    def _json(self, content: Any, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def listening(provider: Provider) -> Iterator[Provider]:
    """Have a provider answer."""
    threading.Thread(target=provider.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield provider
    finally:
        provider.shutdown()
