"""Projects: what threads, documents and tasks lie in."""
