"""What surrounds every method of every server, one file each; `server.py` has their order."""
