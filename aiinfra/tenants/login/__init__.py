"""Proving who someone is: passwords, limits on guessing, second factors, sessions, single sign-on."""
