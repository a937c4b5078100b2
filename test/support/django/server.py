"""
A django-oauth-toolkit server in one file: settings, URLs, clients, and a log of what it was asked.

Reads one JSON object from the first line of standard input:

    {"ownLife": seconds, "userLife": seconds, "users": {name: password},
     "clients": [{"id", "secret", "grant", "own": bool}]}

Prints `listening http://127.0.0.1:PORT` and ends when standard input is closed, so it never outlives who started it.
"""

import base64
import hashlib
import json
import os
import sys
import tempfile
import threading
from urllib.parse import unquote_plus

import django
from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.utils.timezone import now
from django.views.decorators.csrf import csrf_exempt

SCOPES = {name: name for name in ["introspection", "orders:read", "orders:write"]}

seen = []
seen_lock = threading.Lock()
token_answers = threading.Event()
token_answers.set()


def digest(text):
    """Enough to tell two values apart; the log holds no token."""
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else None


def basic_user(credentials):
    try:
        return unquote_plus(base64.b64decode(credentials).decode().partition(":")[0])
    except ValueError:
        return None


def log_requests(get_response):
    """Notes every request to the token and the introspection endpoint, once it took effect."""

    def middleware(request):
        answer = get_response(request)
        endpoint = {"/o/token/": "token", "/o/introspect/": "introspect"}.get(request.path)
        if endpoint is not None:
            scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
            form = request.POST
            client = form.get("client_id") or (basic_user(credentials) if scheme.lower() == "basic" else None)
            with seen_lock:
                seen.append(
                    {
                        "endpoint": endpoint,
                        "status": answer.status_code,
                        "client": client,
                        "grant": form.get("grant_type"),
                        "authentication": scheme.lower() or ("post" if "client_secret" in form else "none"),
                        "bearer": digest(credentials) if scheme.lower() == "bearer" else None,
                        "refreshToken": digest(form.get("refresh_token")),
                        "token": digest(form.get("token")),
                    }
                )
        if endpoint == "token":
            token_answers.wait()
        return answer

    return middleware


def show_requests(request):
    with seen_lock:
        return JsonResponse({"requests": list(seen)})


@csrf_exempt
def hold_token_answers(request):
    """Token requests take effect, but their answers wait until they are released."""
    if request.POST["hold"] == "true":
        token_answers.clear()
    else:
        token_answers.set()
    return HttpResponse(status=204)


@csrf_exempt
def expire(request):
    """Every access token of one client is expired from now on; its refresh tokens stay good."""
    from oauth2_provider.models import AccessToken

    AccessToken.objects.filter(application__client_id=request.POST["client_id"]).update(expires=now())
    return HttpResponse(status=204)


@csrf_exempt
def revoke_refresh_tokens(request):
    """Every refresh token of one client is dead from now on; its access tokens stay good."""
    from oauth2_provider.models import RefreshToken

    RefreshToken.objects.filter(application__client_id=request.POST["client_id"], revoked=None).update(revoked=now())
    return HttpResponse(status=204)


# Filled by `configure`: the toolkit's views cannot be imported before Django is set up.
urlpatterns = []


def configure(plan, database):
    own = {client["id"] for client in plan["clients"] if client["own"]}

    def life(request):
        return plan["ownLife"] if request.client.client_id in own else plan["userLife"]

    settings.configure(
        SECRET_KEY="for tests only",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["127.0.0.1"],
        USE_TZ=True,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": database,
                # Writers wait for each other instead of failing with "database is locked".
                "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
            }
        },
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
        # Tables straight from the models: a third of the time that the migrations take.
        MIGRATION_MODULES={"auth": None, "contenttypes": None, "oauth2_provider": None},
        # Common: Content-Length, so that connections stay open, and the redirect of a path without its trailing slash.
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", f"{__name__}.log_requests"],
        # The default hasher is slow on purpose.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        LOGGING_CONFIG=None,
        OAUTH2_PROVIDER={
            "SCOPES": SCOPES,
            "DEFAULT_SCOPES": ["orders:read"],
            "ROTATE_REFRESH_TOKEN": True,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "EXTRA_SERVER_KWARGS": {"token_expires_in": life},
        },
    )
    django.setup()
    urlpatterns.extend(
        [
            path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
            path("_requests", show_requests),
            path("_expire", expire),
            path("_hold_token_answers", hold_token_answers),
            path("_revoke_refresh_tokens", revoke_refresh_tokens),
        ]
    )


def populate(plan):
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", run_syncdb=True, verbosity=0)
    for name, password in plan["users"].items():
        User.objects.create_user(name, password=password)
    for client in plan["clients"]:
        Application.objects.create(
            name=client["id"],
            client_id=client["id"],
            client_secret=client["secret"],
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=client["grant"],
        )


def serve():
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    class QuietHandler(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
    server.set_app(get_wsgi_application())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening http://127.0.0.1:{server.server_port}", flush=True)


if __name__ == "__main__":
    plan = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory(prefix="micro-gw-django-") as directory:
        configure(plan, os.path.join(directory, "db.sqlite3"))
        populate(plan)
        serve()
        sys.stdin.read()
    # Threads of open connections would hold an ordinary exit up.
    os._exit(0)
