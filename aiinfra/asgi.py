"""For installations with a streaming ASGI server behind a proxy; the product itself is served by WSGI."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")
application = get_asgi_application()
