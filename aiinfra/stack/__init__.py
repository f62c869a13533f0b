"""How the product is run on one machine: install, supervise, look, stop."""
