#!/usr/bin/env python
"""Entry point of every management command."""

import gc
import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    # Imported modules stay, and Python's default would go through their objects dozens of times.
    gc.set_threshold(20_000)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")
    execute_from_command_line(sys.argv)
