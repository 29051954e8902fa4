"""The model client: `OpenAIModel` speaks to any OpenAI-compatible endpoint.

    async with OpenAIModel(base_url=…, api_key=…, max_connections=…) as model:
        async with model.call(request) as call: …      # see weft_agent_runner.domain.model
"""

from weft_agent_runner.model.client import ModelLimits, OpenAIModel

__all__ = ["ModelLimits", "OpenAIModel"]
