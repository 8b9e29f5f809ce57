"""Settings of Airflow's sign-in page, for an installation with single sign-on.

Airflow reads it as its file `[fab] config_file` (infra/local/airflow.cfg).
"""

from airflow.providers.fab.auth_manager.security_manager.override import (  # noqa: TID251
    FabAirflowSecurityManagerOverride,
)
from airflow.providers.fab.auth_manager.views.auth_oauth import (  # noqa: TID251
    CustomAuthOAuthView,
)

from infra.local.settings import load_settings
from infra.local.sign_in.fab import ListedPeople, SignIn, flask_settings


class AirflowSignIn(SignIn, CustomAuthOAuthView):
    """The page, for Airflow, which keeps sessions in its database."""


class AirflowSecurityManager(ListedPeople, FabAirflowSecurityManagerOverride):
    """Airflow's own, for people whom the provider names."""

    authoauthview = AirflowSignIn
    # The same pages and permissions for the list of users as without single sign-on.
    useroauthmodelview = FabAirflowSecurityManagerOverride.userdbmodelview


SECURITY_MANAGER_CLASS = AirflowSecurityManager
try:
    globals().update(flask_settings(load_settings()))
except OSError as error:
    # Airflow takes it for a file of settings that is not there, and lets everybody's password in.
    raise RuntimeError(f"single sign-on: {error}; `cityloom up` names the remedy") from error
