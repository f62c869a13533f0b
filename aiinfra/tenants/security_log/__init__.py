"""The security log: who tried or did what to the installation, in one chain that shows whether it was changed."""
