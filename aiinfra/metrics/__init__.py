"""Prometheus metrics that processes record: kept per process in files, and added up when they are read."""
