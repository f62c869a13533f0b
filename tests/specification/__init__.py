"""The examples of the specification's sections on testing and on the core API, in Python."""
