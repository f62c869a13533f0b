"""The dialects of chat calls: what clients may ask for, and the translation into the other dialect. Sends nothing."""
