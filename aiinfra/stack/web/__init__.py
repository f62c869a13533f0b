"""The web server: gunicorn runs the processes, waitress buffers requests and responses away from the threads."""
