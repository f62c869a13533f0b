"""The tenants' pages, one module per subject."""
