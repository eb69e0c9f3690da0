"""Authlib and joserfc, a Python client and a Python JOSE, link people the way that apps do."""

import time

from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from joserfc import jwt
from joserfc.jwk import KeySet
import requests

from judge import ISSUER, REDIRECT, Person, new_client, statement, verdict, watch

METADATA = requests.get(f"{ISSUER}/.well-known/openid-configuration").json()
SCOPE = "openid email music_assistant.read music_assistant.control"
SECRET = new_client("authlib")
PERSON = Person("authlib")


def session(method="client_secret_basic", client_id="authlib", secret=SECRET):
    return watch(OAuth2Session(
        client_id, secret, token_endpoint_auth_method=method, scope=SCOPE, redirect_uri=REDIRECT,
        code_challenge_method="S256", token_endpoint=METADATA["token_endpoint"],
        revocation_endpoint_auth_method=method))


def link(app, nonce=None):
    """The whole way to tokens."""
    verifier = generate_token(48)
    url, state = app.create_authorization_url(
        METADATA["authorization_endpoint"], code_verifier=verifier, nonce=nonce or generate_token())
    back = PERSON.decide(url)
    return app.fetch_token(METADATA["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)


def claims_of(token, nonce=None, audience="authlib"):
    """What an id token says, after every check that a client should make."""
    keys = KeySet.import_key_set(requests.get(METADATA["jwks_uri"]).json())
    decoded = jwt.decode(token, keys, algorithms=METADATA["id_token_signing_alg_values_supported"])
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": audience},
        exp={"essential": True}, iat={"essential": True}, sub={"essential": True},
        **({"nonce": {"essential": True, "value": nonce}} if nonce else {}))
    rules.validate(decoded.claims)
    return decoded.claims


for way in ("client_secret_basic", "client_secret_post"):

    @statement(f"{way}: code with PKCE, refresh, introspection and revocation")
    def _():
        app = session(way)
        tokens = link(app)
        assert tokens["token_type"] == "Bearer" and tokens["expires_in"] >= 360, tokens
        fresh = app.refresh_token(METADATA["token_endpoint"], refresh_token=tokens["refresh_token"])
        assert fresh["access_token"] != tokens["access_token"]
        described = app.introspect_token(METADATA["introspection_endpoint"], token=fresh["access_token"]).json()
        assert described["active"] is True and described["sub"] == PERSON.account_id, described
        assert app.revoke_token(METADATA["revocation_endpoint"], token=fresh["refresh_token"]).status_code == 200
        described = app.introspect_token(METADATA["introspection_endpoint"], token=fresh["access_token"]).json()
        assert described == {"active": False}, described
        try:
            app.refresh_token(METADATA["token_endpoint"], refresh_token=fresh["refresh_token"])
        except OAuthError as error:
            assert error.error == "invalid_grant", error
        else:
            raise AssertionError("a revoked refresh token still works")


@statement("a public client needs no secret, and userinfo answers its token")
def _():
    new_client("authlib-public", "--public")
    app = session("none", "authlib-public", None)
    tokens = link(app)
    info = app.get(METADATA["userinfo_endpoint"]).json()
    assert info == {"sub": PERSON.account_id, "email": PERSON.email, "email_verified": True}, info
    fresh = app.refresh_token(METADATA["token_endpoint"], refresh_token=tokens["refresh_token"])
    assert claims_of(fresh["id_token"], audience="authlib-public")["sub"] == PERSON.account_id


@statement("an id token stands every check of joserfc")
def _():
    begun = int(time.time())
    claims = claims_of(link(session(), "n-0S6")["id_token"], "n-0S6")
    assert claims["sub"] == PERSON.account_id and claims["email"] == PERSON.email
    assert begun - 1 <= claims["iat"] <= claims["exp"] and claims["auth_time"] <= claims["iat"], claims


@statement("the published keys can only verify")
def _():
    keys = requests.get(METADATA["jwks_uri"]).json()["keys"]
    assert keys and all("d" not in key and key["use"] == "sig" for key in keys), keys
    assert len({key["kid"] for key in keys}) == len(keys)


@statement("a wrong secret is a 401 that names invalid_client")
def _():
    for way in ("client_secret_basic", "client_secret_post"):
        try:
            session(way, secret="wrong").refresh_token(METADATA["token_endpoint"], refresh_token="mcr_x")
        except OAuthError as error:
            assert error.error == "invalid_client", error
        else:
            raise AssertionError("a wrong secret was accepted")


verdict()
