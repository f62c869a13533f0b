"""Single sign-on with OpenID Connect, configured by each organization for itself."""
