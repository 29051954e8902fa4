"""Tenants' own access to the model provider."""
