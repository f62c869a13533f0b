"""Tests with several hosts and servers."""
