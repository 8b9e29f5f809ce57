"""Superset's security manager where people sign in by an identity provider."""

from infra.local.sign_in.fab import ListedPeople, SignIn
from infra.local.superset.readers import ReaderSecurityManager


class SignInSecurityManager(ListedPeople, ReaderSecurityManager):
    """The readers' own, for people whom the provider names."""

    authoauthview = SignIn
    register_superset_auth_view = False  # its page offers one way in
    # The same pages and permissions for the list of users as without single sign-on.
    useroauthmodelview = ReaderSecurityManager.userdbmodelview

    def register_views(self) -> None:
        """Register the pages; limit tries of the password, which Superset does for its own page."""
        super().register_views()
        if self.is_auth_limited:
            limit = self.limiter.limit(self.auth_rate_limit, methods=["POST"])
            limit(self.auth_view.blueprint)
