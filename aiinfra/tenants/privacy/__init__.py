"""How long an organization's content is kept, what stops its deletion, and the receipts of what was erased."""
