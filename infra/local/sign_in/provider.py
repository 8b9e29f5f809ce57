"""What an installation knows of its identity provider, and whom a sign-in there stands for.

Superset's settings import this: standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

DISCOVERY = "/.well-known/openid-configuration"
#: Signatures that the provider makes with a private key, and no one else can.
SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
#: What the discovery document must name.
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class SignInError(Exception):
    """The provider, or whom it names, cannot be accepted; says why, and the remedy."""


@dataclass(frozen=True)
class SingleSignOn:
    """The identity provider of an installation, without the client's secret.

    `claim` holds the name of the login; with `domain`, `name@domain` stands for the login `name`.
    `label` is how people know the provider.
    """

    issuer: str
    client_id: str
    claim: str = "preferred_username"
    domain: str = ""
    label: str = "single sign-on"

    @property
    def discovery_url(self) -> str:
        """Where the provider describes itself."""
        return self.issuer.rstrip("/") + DISCOVERY

    def described(self, document: Any) -> dict[str, Any]:
        """Return the provider's discovery document, with its trustworthy signatures only.

        Raises `SignInError` for one of another issuer, or with an address that is not safe.
        """
        if not isinstance(document, dict):
            raise SignInError(f"{self.discovery_url} answers with no JSON object")
        issuer = document.get("issuer")
        if not isinstance(issuer, str) or issuer.rstrip("/") != self.issuer.rstrip("/"):
            raise SignInError(
                f"{self.discovery_url} names the issuer {issuer!r}: set CITYLOOM_OIDC_ISSUER to "
                "exactly that, if it is the right provider"
            )
        for name in ENDPOINTS:
            if name not in document:
                raise SignInError(f"{self.discovery_url} names no {name}")
        for name in (*ENDPOINTS, "userinfo_endpoint"):
            if name in document and not is_safe(document[name]):
                raise SignInError(
                    f"{self.discovery_url} names a {name} without https: {document[name]}"
                )
        offered = document.get("id_token_signing_alg_values_supported") or ["RS256"]
        usable = [name for name in offered if name in SIGNATURES]
        if not usable:
            raise SignInError(
                f"{self.discovery_url} offers only the signatures {', '.join(map(str, offered))}; "
                "have the client's ID tokens signed with RS256"
            )
        return {**document, "id_token_signing_alg_values_supported": usable}

    def login(self, claims: Mapping[str, Any]) -> str:
        """Return the login that the claims of a sign-in name, letter by letter.

        Raises `SignInError` where they name none: no claim, an address that the provider has not
        verified, one of another domain, or, where a domain is set, a name without one: else two
        people could be one login.
        """
        found = claims.get(self.claim)
        if not isinstance(found, str) or not found:
            raise SignInError(
                f"{self.label} sends no {self.claim}. An administrator can have it sent, or name "
                "another claim with CITYLOOM_OIDC_CLAIM."
            )
        is_address = self.claim == "email" or found == claims.get("email")
        if is_address and claims.get("email_verified") is not True:
            raise SignInError(
                f"{self.label} has not verified the address {found} (its claim email_verified is "
                "not true). Verify it there, then sign in again."
            )
        name, at, domain = found.rpartition("@")
        if not at and not self.domain:
            return found
        if not self.domain or domain.lower() != self.domain.lower():
            wanted = f"only {self.domain} counts" if self.domain else "no domain counts"
            raise SignInError(
                f"{self.label} names you {found}, and {wanted} here. An administrator can set "
                "CITYLOOM_OIDC_DOMAIN to the domain whose names are logins."
            )
        return name


def is_login(name: str) -> bool:
    """Return whether `cityloom users add` takes a name as it is written."""
    return re.fullmatch("[a-z][a-z0-9_]{1,30}", name) is not None


def is_safe(url: Any) -> bool:
    """Return whether what is sent to a URL stays secret: by https, or on this machine."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme != "http":
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
