"""Runs the product on one machine: install, supervise, inspect, stop."""
