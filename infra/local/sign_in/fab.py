"""Sign-in by the identity provider for Superset and Airflow, which both use Flask-AppBuilder.

Flask-AppBuilder and authlib speak OpenID Connect (code flow with PKCE, state and nonce). Here is
what they leave to us: who gets in is a login that `cityloom users` made, with that login's roles;
nobody is registered, and no role comes from the provider. The administrator's own login, and no
other, opens by its password too.

Runs in the environment of either server: standard library, Flask-AppBuilder and authlib only.
"""

from __future__ import annotations

import logging
from copy import copy
from pathlib import Path
from typing import Any

from authlib.integrations.flask_client import FlaskOAuth2App
from flask import flash, redirect, session
from flask_appbuilder import expose
from flask_appbuilder.const import AUTH_OAUTH
from flask_appbuilder.security.decorators import no_cache
from flask_appbuilder.security.views import AuthDBView, AuthOAuthView

from infra.local.settings import Settings, load_settings
from infra.local.sign_in.provider import SignInError, SingleSignOn, is_login

log = logging.getLogger(__name__)

#: Names the provider in addresses: /login/oidc, /oauth-authorized/oidc.
NAME = "oidc"
#: The provider may be slow; it must not hold a server's thread for long.
TIMEOUT_SECONDS = 15
#: Sign-ins that one browser may have begun at once.
MOST_BEGUN = 5


class Provider(FlaskOAuth2App):
    """authlib's client of the provider, with what OpenID Connect requires of a client besides."""

    server_metadata: dict[str, Any]

    def load_server_metadata(self) -> dict[str, Any]:
        """Return the provider's discovery document. Raises `SignInError` for a wrong one."""
        if "_loaded_at" not in self.server_metadata:
            # authlib keeps what it fetches before anybody has judged it: here a copy of ours does.
            fetching = copy(self)
            fetching.server_metadata = {}
            document = super(Provider, fetching).load_server_metadata()
            self.server_metadata = _provider().described(document)
        return self.server_metadata

    def parse_id_token(
        self, token: Any, nonce: Any, claims_options: Any = None, **more: Any
    ) -> Any:
        """Return the claims of the ID token, which must be meant for this client."""
        issuer = self.load_server_metadata()["issuer"]
        # authlib accepts another audience where the token names us as its authorized party.
        wanted = {"iss": issuer, "aud": self.client_id}
        options = {name: {"essential": True, "value": value} for name, value in wanted.items()}
        return super().parse_id_token(token, nonce, options, **more)


class SignIn(AuthOAuthView, AuthDBView):
    """The page of both ways in, by the provider and by the administrator's password."""

    template_folder = str(Path(__file__).parent)
    login_template = "sign_in.html"

    @property
    def title(self) -> str:
        """The provider's name for people; the page's template shows it."""
        return _provider().label

    @expose("/login/", methods=["GET", "POST"])
    @expose("/login/<provider>")
    @no_cache
    def login(self, provider: str | None = None) -> Any:
        """Show the page, take the password, or go to the provider."""
        if provider is None:
            return AuthDBView.login(self)
        if provider == NAME:
            try:
                self.appbuilder.sm.oauth_remotes[NAME].load_server_metadata()
            except Exception as error:  # Flask-AppBuilder would call it a wrong login
                log.error("the identity provider cannot be used: %s", error)
                return self._back(
                    f"{self.title} cannot be used now. Try again later; an administrator finds the "
                    "reason with `cityloom doctor`, and gets in by the password below."
                )
        begun = [key for key in session if key.startswith(f"_state_{NAME}_")]
        if len(begun) > MOST_BEGUN:  # a cookie of more than 4 KB would be dropped as a whole
            for key in begun:
                session.pop(key)
        return super().login(provider)

    @expose("/oauth-authorized/<provider>")
    def oauth_authorized(self, provider: str) -> Any:
        """Let in whom the provider names, or say why not."""
        try:
            return super().oauth_authorized(provider)
        except SignInError as error:
            log.warning("sign-in refused: %s", " ".join(str(error).split()))
            return self._back(str(error))

    def _back(self, message: str) -> Any:
        flash(message[:1].upper() + message[1:], "warning")
        return redirect(self.appbuilder.get_url_for_login)


class ListedPeople:
    """Part of a security manager: the provider says who somebody is, `cityloom users` the rest."""

    #: By what the API's login goes: by password, for the administrator.
    auth_type_provider_name = "db"

    def set_oauth_session(self, provider: str, oauth_response: Any) -> None:
        """Keep no token: it is not used again, and would not fit into a cookie."""
        session["oauth_provider"] = provider

    def get_oauth_user_info(self, provider: str, resp: Any) -> dict[str, Any]:
        """Return the login that the provider names, or why there is none (`refused`)."""
        try:
            return {"username": self._named(resp)}
        except SignInError as error:
            # Flask-AppBuilder would swallow it here.
            return {"refused": error}

    def _named(self, token: Any) -> str:
        sso = _provider()
        claims = token.get("userinfo")  # of the ID token, once authlib has verified it
        if not claims:
            raise SignInError(f"{sso.label} sent no ID token. Its client must use OpenID Connect.")
        if sso.claim not in claims:
            more = self.oauth_remotes[NAME].userinfo(token=token)  # type: ignore[attr-defined]
            if more.get("sub") == claims["sub"]:
                claims = {**more, **claims}
        return sso.login(claims)

    def auth_user_oauth(self, userinfo: dict[str, Any], *args: Any, **options: Any) -> Any:
        """Return the user of a login that is listed. Raises `SignInError` for anybody else."""
        if "refused" in userinfo:
            raise userinfo["refused"]
        name, label = userinfo["username"], _provider().label
        if name == load_settings().admin_user:
            raise SignInError(f"The login {name} opens by its password only, not by {label}.")
        user = self.find_user(username=name)  # type: ignore[attr-defined]
        # Upper and lower case are one to it. A login without a role is one that was closed.
        if user is None or user.username != name or not user.is_active or not user.roles:
            remedy = (
                f"add it: cityloom users add {name} --role ROLE"
                if is_login(name)
                else "have your login (lower-case letters, digits and _) sent in a claim of its "
                "own, and name that with CITYLOOM_OIDC_CLAIM."
            )
            raise SignInError(
                f"{label} knows you as {name}, but no login of exactly that name is open here. An "
                f"administrator can {remedy}"
            )
        return super().auth_user_oauth(  # type: ignore[misc]
            {"username": name}, *args, **options
        )

    def auth_user_db(self, username: str, password: str, *args: Any, **options: Any) -> Any:
        """Return the administrator, by the password; nobody else gets in by one."""
        if username != load_settings().admin_user:
            log.warning("a password was refused: only the administrator's opens this server")
            return None
        return super().auth_user_db(username, password, *args, **options)  # type: ignore[misc]


def flask_settings(settings: Settings) -> dict[str, Any]:
    """Return Flask-AppBuilder's settings of an installation that has a provider."""
    sso = settings.single_sign_on
    if sso is None:
        return {}
    client = {
        "client_cls": Provider,
        "client_id": sso.client_id,
        "client_secret": settings.kept("oidc_client_secret"),
        "server_metadata_url": sso.discovery_url,
        "client_kwargs": {
            "scope": "openid profile email",
            "code_challenge_method": "S256",
            "default_timeout": TIMEOUT_SECONDS,
        },
    }
    return {
        "AUTH_TYPE": AUTH_OAUTH,
        "OAUTH_PROVIDERS": [
            {"name": NAME, "icon": "fa-sign-in", "token_key": "access_token", "remote_app": client}
        ],
        "AUTH_USER_REGISTRATION": False,
        "AUTH_ROLES_SYNC_AT_LOGIN": False,
    }


def _provider() -> SingleSignOn:
    sso = load_settings().single_sign_on
    if sso is None:
        raise SignInError("this installation has no single sign-on any more")
    return sso
