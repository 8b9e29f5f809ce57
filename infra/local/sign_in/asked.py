"""Which identity provider `cityloom up` is asked for, by the variables `CITYLOOM_OIDC_*`.

They are taken together and kept in `stack.json`, the client's secret in `secrets/`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests

from infra.home import cityloom_home, write_private
from infra.local.sign_in.provider import DISCOVERY, SignInError, SingleSignOn, is_safe

PREFIX = "CITYLOOM_OIDC_"
REQUIRED = ("ISSUER", "CLIENT_ID", "CLIENT_SECRET")
OPTIONAL = ("CLAIM", "DOMAIN", "LABEL")
#: The value of CITYLOOM_OIDC_ISSUER that ends single sign-on.
OFF = "off"
#: Name of the client's secret among the installation's.
SECRET = "oidc_client_secret"
REMEDY = "docs/operations.md, Single sign-on, has them all"


def asked(environment: Mapping[str, str] = os.environ) -> SingleSignOn | str | None:
    """Return the provider that the environment describes, `OFF`, or None where it has none.

    Raises `SignInError` for a description that is wrong or incomplete, naming the variable.
    """
    known = (*REQUIRED, *OPTIONAL)
    given = {name: environment.get(PREFIX + name, "").strip() for name in known}
    given = {name: value for name, value in given.items() if value}
    if not given:
        return None
    if given.get("ISSUER") == OFF:
        return OFF
    if missing := [PREFIX + name for name in REQUIRED if name not in given]:
        raise SignInError(
            f"single sign-on is set in half: {', '.join(missing)} missing beside "
            f"{', '.join(PREFIX + name for name in given)}; {REMEDY}, and "
            f"{PREFIX}ISSUER={OFF} ends it"
        )
    if not is_safe(given["ISSUER"]):
        raise SignInError(
            f"{PREFIX}ISSUER={given['ISSUER']}: passwords are typed in there, so it must begin "
            "with https:// (http:// is for a provider on this machine)"
        )
    _parse(given["CLIENT_SECRET"])
    optional = {name.lower(): given[name] for name in OPTIONAL if name in given}
    issuer = given["ISSUER"].removesuffix(DISCOVERY)
    return SingleSignOn(issuer, given["CLIENT_ID"], **optional)


def secret_variable(environment: Mapping[str, str] = os.environ) -> str:
    """Return the name of the variable that holds the client's secret, if one does."""
    scheme, _, name = environment.get(f"{PREFIX}CLIENT_SECRET", "").strip().partition(":")
    return name if scheme == "env" else ""


def secret(home: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Return the client's secret that CITYLOOM_OIDC_CLIENT_SECRET refers to.

    `file:PATH` starts from the home, where it is relative. Raises `SignInError`, never with it.
    """
    reference = environment[f"{PREFIX}CLIENT_SECRET"].strip()
    scheme, rest = _parse(reference)
    file = home / Path(rest).expanduser()
    try:
        found = environment[rest] if scheme == "env" else file.read_text()
    except KeyError as error:
        raise SignInError(
            f"{PREFIX}CLIENT_SECRET={reference}: the variable {rest} is not set"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SignInError(
            f"{PREFIX}CLIENT_SECRET={reference}: {file} cannot be read as text "
            f"({getattr(error, 'strerror', '') or error.__class__.__name__})"
        ) from error
    if not found.strip():
        raise SignInError(f"{PREFIX}CLIENT_SECRET={reference} leads to an empty secret")
    return found.strip()


def _parse(reference: str) -> tuple[str, str]:
    scheme, _, rest = reference.partition(":")
    if scheme not in ("file", "env") or not rest:
        raise SignInError(  # without it: it may be the secret itself
            f"{PREFIX}CLIENT_SECRET is a reference, file:PATH or env:NAME, never the secret itself"
        )
    return scheme, rest


def decide(described: dict[str, Any]) -> None:
    """Put the provider that is asked for into what `stack.json` holds, and keep its secret.

    Raises `SignInError` as `asked` does.
    """
    found = asked()
    if found is None:
        return
    kept = cityloom_home() / "secrets" / SECRET
    if isinstance(found, SingleSignOn):
        write_private(kept, secret(cityloom_home()))
        described["single_sign_on"] = asdict(found)
    else:
        described.pop("single_sign_on", None)
        kept.unlink(missing_ok=True)


def discover(sso: SingleSignOn) -> None:
    """Ask the provider for its discovery document. Raises `SignInError` for what is wrong."""
    try:
        # With the proxies and certificates by which the servers go, through the same library.
        answer = requests.get(sso.discovery_url, timeout=20)
        answer.raise_for_status()
        document = answer.json()
    except (requests.RequestException, ValueError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise SignInError(f"{sso.discovery_url} gives no discovery document: {reason}") from error
    sso.described(document)
