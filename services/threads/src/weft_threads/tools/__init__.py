"""The journal of tool calls."""
