"""The composition root: opens, wires and serves; stops in the opposite order."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from weft.runner.v1 import agent_runner_service_pb2_grpc as runner_grpc
from weft_grpckit.channels import open_channel, service_token
from weft_grpckit.program import Program
from weft_grpckit.server import WeftServer, inner_guards
from weft_grpckit.tokens import TokenSigner, TokenVerifier
from weft_wire.cancel_signals import CancelSignals
from weft_wire.doorbell import Doorbell

from weft_agent_runner.claimer import Claimer
from weft_agent_runner.clients.agents import GrpcAgents
from weft_agent_runner.clients.attachments import GrpcAttachments
from weft_agent_runner.clients.run_queue import GrpcRunQueue
from weft_agent_runner.clients.tools import GrpcTools
from weft_agent_runner.domain.model import Model
from weft_agent_runner.domain.outbox import OutboxLimits
from weft_agent_runner.drain import Drainer
from weft_agent_runner.equipper import CachingEquipper
from weft_agent_runner.extractor import ExtractionLimits, ProcessExtractor
from weft_agent_runner.lane import Committer, WriteLane
from weft_agent_runner.lease_keeper import LeaseKeeper
from weft_agent_runner.model import ModelLimits, OpenAIModel
from weft_agent_runner.roster import Roster
from weft_agent_runner.servicer import AgentRunnerServicer
from weft_agent_runner.settings import RunnerSettings
from weft_agent_runner.signals import SignalFollower
from weft_agent_runner.telemetry.lane import observe_runner, observed_committer
from weft_agent_runner.telemetry.model import observed_model
from weft_agent_runner.telemetry.tools import observed_tools
from weft_agent_runner.tenure import Tenure
from weft_agent_runner.titler import AT_ONCE, ModelTitler, NoTitler, Titler
from weft_agent_runner.transcript_log import NoTranscripts, TranscriptLog, Transcripts
from weft_agent_runner.workshop import RunLimits, Workshop

_SERVICE = "agent-runner"


def composed(settings: RunnerSettings) -> Callable[[Program], Awaitable[None]]:
    """Return what puts a runner together."""

    async def compose(program: Program) -> None:
        queue, workshop, tenure = await _open(settings, program)
        lane = WriteLane(
            observed_committer(_committer(queue, tenure)),
            limits=OutboxLimits(full_size=settings.max_buffered_bytes),
            is_queue_well=lambda: tenure.trusted_for > 0,
        )
        roster = Roster(workshop, lane, settings.max_runs)
        observe_runner(roster, lane)
        program.close_later(roster.cancel_all)
        bell = Doorbell(settings.redis_url)
        program.close_later(bell.close)
        claimer = Claimer(queue, roster, tenure, bell)
        drainer = Drainer(queue, claimer, roster, lane, tenure)
        program.spawn("write lane", lane.run())
        program.spawn("lease keeper", LeaseKeeper(queue, tenure, roster).run())
        program.spawn("cancel signals", SignalFollower(CancelSignals(settings.redis_url), tenure, roster).run())
        program.spawn("claimer", claimer.run())
        program.on_drain(drainer.drain_quietly)
        await program.serve(_server(settings, program, roster, tenure, drainer), settings.listen_address)

    return compose


async def _open(settings: RunnerSettings, program: Program) -> tuple[GrpcRunQueue, Workshop, Tenure]:
    """Open what a runner calls."""
    token = service_token(TokenSigner(settings.token_key_bytes), _SERVICE)
    threads = await program.enter(open_channel(settings.threads_addresses, token=token))
    tools_channel = await program.enter(open_channel(settings.tools_addresses, token=token))
    model = await program.enter(
        OpenAIModel(
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key.get_secret_value() or "none",
            max_connections=settings.max_runs + AT_ONCE,
            limits=ModelLimits(
                first_byte_seconds=settings.model_first_byte_seconds, idle_seconds=settings.model_idle_seconds
            ),
        )
    )
    queue, tools, tenure = GrpcRunQueue(threads), observed_tools(GrpcTools(tools_channel)), Tenure()
    equipper = CachingEquipper(GrpcAgents(threads), tools, queue, settings.model, settings.prices)
    program.close_later(equipper.close)
    limits = RunLimits(settings.max_context_bytes, settings.tools_patience_seconds)
    workshop = Workshop(
        queue,
        observed_model(model),
        tools,
        equipper,
        GrpcAttachments(threads),
        ProcessExtractor(_extraction_limits(settings)),
        asyncio.Semaphore(settings.attachment_readers),
        _titler(settings, program, observed_model(model), queue),
        tenure,
        limits,
        transcripts=_transcripts(settings, program),
    )
    return queue, workshop, tenure


def _transcripts(settings: RunnerSettings, program: Program) -> Transcripts:
    if not settings.transcript_folder:
        return NoTranscripts()
    log = TranscriptLog(Path(settings.transcript_folder))
    program.close_later(log.close)  # after the runs: what they say at last is written too
    return log


def _titler(settings: RunnerSettings, program: Program, model: Model, queue: GrpcRunQueue) -> Titler:
    if not settings.titles:
        return NoTitler()
    titler = ModelTitler(model, queue)
    program.close_later(titler.close)
    return titler


def _extraction_limits(settings: RunnerSettings) -> ExtractionLimits:
    return ExtractionLimits(
        settings.attachment_seconds, settings.attachment_memory_bytes, settings.attachment_text_bytes
    )


def _committer(queue: GrpcRunQueue, tenure: Tenure) -> Committer:
    return lambda entries: queue.commit(tenure.runner_id, entries)


def _server(settings: RunnerSettings, program: Program, roster: Roster, tenure: Tenure, drainer: Drainer) -> WeftServer:
    server = WeftServer(
        inner_guards(TokenVerifier(settings.token_key_bytes)),
        stopping=program.stopping,
        strict_reasons=settings.strict_reasons,
    )
    server.register(runner_grpc.add_AgentRunnerServiceServicer_to_server, AgentRunnerServicer(roster, tenure, drainer))
    return server
