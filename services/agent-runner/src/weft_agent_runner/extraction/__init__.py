"""Finding the text in files. It runs in a process of its own, `python -m weft_agent_runner.extraction`, which has
limits and knows nothing: no secrets, no network, nothing of the runner."""
