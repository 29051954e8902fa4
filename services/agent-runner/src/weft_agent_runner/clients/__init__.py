"""The services that a runner calls."""
