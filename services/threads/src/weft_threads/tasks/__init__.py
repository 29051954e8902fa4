"""Tasks: things to be done in a project."""
