"""ASGI entry point, for installations that use an ASGI server. The product itself runs on WSGI."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")
application = get_asgi_application()
