"""The specification in its own words: each example of its sections on testing and on the core API, in Python."""
