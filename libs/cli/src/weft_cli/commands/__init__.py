"""What people do every day, a module for each noun."""
