"""Loads what a run's model calls need beside the conversation, once for each version of an agent."""

import asyncio
import logging
from dataclasses import replace

from weft_agent_runner.cache import SingleFlightCache
from weft_agent_runner.domain.agent import AgentVersion, Equipment
from weft_agent_runner.domain.model import ToolSpec
from weft_agent_runner.domain.ports import Agents, ModelKeys, Tools
from weft_agent_runner.domain.prices import Prices
from weft_agent_runner.domain.run import ClaimedRun
from weft_agent_runner.workshop import patiently

_LOG = logging.getLogger(__name__)

_VERSIONS = 1000
# The tools service may be replaced by one whose tools say something else of themselves.
_TOOLS_MAX_AGE_SECONDS = 60.0
# As the contract of PutModelEndpoint promises.
_KEYS_MAX_AGE_SECONDS = 60.0


class CachingEquipper:
    def __init__(self, agents: Agents, tools: Tools, keys: ModelKeys, default_model: str, prices: Prices) -> None:
        self._agents, self._tools, self._keys = agents, tools, keys
        self._default_model, self._prices = default_model, prices
        # Versions never change, so they are kept for ever; a version's id names its tenant's row and no other.
        self._versions = SingleFlightCache[str, AgentVersion](_VERSIONS)
        self._specs = SingleFlightCache[str, tuple[ToolSpec, ...]](_VERSIONS, _TOOLS_MAX_AGE_SECONDS)
        self._tenants_keys = SingleFlightCache[str, str](_VERSIONS, _KEYS_MAX_AGE_SECONDS)

    async def equip(self, run: ClaimedRun) -> Equipment:
        """Raises: PeerUnavailableError: threads or tools fails at it, or is away for as long as the run may take."""
        key = run.agent_version_id
        agent, api_key = await asyncio.gather(
            patiently(lambda: self._versions.get(key, lambda: self._agents.get_version(run)), run.remaining_seconds),
            patiently(lambda: self._key_of(run), run.remaining_seconds),
        )
        specs: tuple[ToolSpec, ...] = ()
        if agent.tools:
            specs = await patiently(
                lambda: self._specs.get(key, lambda: self._load_specs(run, agent)), run.remaining_seconds
            )
        model = agent.model or self._default_model
        return Equipment(agent, model, specs, self._prices.get(model), api_key)

    async def renewed(self, run: ClaimedRun, equipment: Equipment, seconds: float) -> Equipment:
        """Return it with the key that the tenant has now: a run goes on for longer than an old key may be used.

        Raises: PeerUnavailableError: threads fails at it, or is away for `seconds`.
        """
        api_key = await patiently(lambda: self._key_of(run), seconds)
        return equipment if api_key == equipment.api_key else replace(equipment, api_key=api_key)

    async def _key_of(self, run: ClaimedRun) -> str:
        return await self._tenants_keys.get(run.key.tenant_id, lambda: self._keys.get_model_key(run))

    async def _load_specs(self, run: ClaimedRun, agent: AgentVersion) -> tuple[ToolSpec, ...]:
        specs = await self._tools.list_specs(run, agent.tools)
        unknown = sorted(set(agent.tools) - {spec.name for spec in specs})
        if unknown:
            _LOG.warning("%s names tools that do not exist: %s", run.agent_version_id, ", ".join(unknown))
        return specs

    async def close(self) -> None:
        await self._versions.close()
        await self._specs.close()
        await self._tenants_keys.close()
