"""How MLflow's client logs in: by the deployment, which proves the server before each request.

MLflow finds it as the plugin `cityloom` (`MLFLOW_TRACKING_AUTH`, pyproject's entry points).
"""

from __future__ import annotations

from mlflow.tracking.request_auth.abstract_request_auth_provider import RequestAuthProvider
from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from infra.contract import load_deployment


class DeploymentLogin(RequestAuthProvider):
    """The plugin: gives MLflow's client the login of the deployment."""

    def get_name(self) -> str:
        """Return the name by which `MLFLOW_TRACKING_AUTH` asks for it."""
        return "cityloom"

    def get_auth(self) -> AuthBase:
        """Return what puts the login into a request."""
        return _Login()


class _Login(AuthBase):
    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        deployment = load_deployment()
        if not str(request.url).startswith(f"{deployment.url('mlflow').rstrip('/')}/"):
            return request  # another server's: artifacts by a signed address, say
        return HTTPBasicAuth(*deployment.login("mlflow"))(request)
