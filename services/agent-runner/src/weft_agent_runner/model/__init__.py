"""The model client. `OpenAIModel` speaks to any OpenAI-compatible endpoint; `domain.model` says how it is used."""

from weft_agent_runner.model.client import ModelLimits, OpenAIModel

__all__ = ["ModelLimits", "OpenAIModel"]
