"""Traces: spans of requests, which OpenTelemetry's SDK sends to a collector.

While tracing is off, nothing of OpenTelemetry is imported here, and no function does more than look at the setting.
"""
