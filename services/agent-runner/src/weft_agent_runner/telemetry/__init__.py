"""What is told of runs, model calls and tool calls: spans and metrics, by the GenAI conventions."""
