"""Documents: texts of a project that tools can search and read."""
