"""For those who put an ASGI server with a streaming listener behind a proxy; the product itself is served by WSGI."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")
application = get_asgi_application()
