"""The tenants' pages, one file per subject."""
