"""What was used, counted from the journals."""
