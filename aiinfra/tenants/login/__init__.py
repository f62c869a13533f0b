"""Authentication of people: passwords, brute-force limits, second factors, sessions, single sign-on."""
