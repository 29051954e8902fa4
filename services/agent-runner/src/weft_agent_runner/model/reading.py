"""From the bytes of an answer to its text and its end. Knows no clock and no socket."""

from weft_agent_runner.domain.model import ModelCallError, ModelCompletion, ModelFault
from weft_agent_runner.model.assembly import Assembly, OutputTooLargeError
from weft_agent_runner.model.chunks import MalformedChunkError, decode_chunk
from weft_agent_runner.model.faults import error_in
from weft_agent_runner.model.sse import EventSplitter, LineTooLongError

DONE = b"[DONE]"


class AnswerReader:
    """`feed` what was read, `end` when there is no more; both return text and raise ModelCallError."""

    def __init__(self, max_line_bytes: int, max_output_bytes: int, *, is_stream: bool = True) -> None:
        """`is_stream` is False where the provider answered with one JSON object though a stream was asked for."""
        self._splitter = EventSplitter(max_line_bytes)
        self._assembly = Assembly(max_output_bytes)
        self._completion: ModelCompletion | None = None
        self._is_stream = is_stream
        if not is_stream:
            self._splitter.feed(b"data: ")

    @property
    def is_finished(self) -> bool:
        """The finish_reason has come: what is still missing is not needed."""
        return self._assembly.is_finished

    @property
    def is_done(self) -> bool:
        return self._completion is not None

    @property
    def text(self) -> str:
        return self._assembly.text

    @property
    def completion(self) -> ModelCompletion:
        if self._completion is None:
            raise RuntimeError("the answer has not been read to its end")
        return self._completion

    def feed(self, read: bytes) -> str:
        if not self._is_stream:
            read = read.translate(None, b"\r\n")  # JSON on one line is one event
        try:
            return self._take(self._splitter.feed(read))
        except LineTooLongError as error:
            raise _too_large("a line of the model's stream is longer than allowed") from error

    def end(self) -> str:
        try:
            text = self._take(self._splitter.close())
        except LineTooLongError as error:
            raise _too_large("a line of the model's stream is longer than allowed") from error
        return text if self.is_done else text + self._finish()

    def _take(self, events: list[bytes]) -> str:
        texts = []
        for event in events:
            if event.strip() == DONE:
                texts.append(self._finish())
                break
            texts.append(self._add(event))
        return "".join(texts)

    def _add(self, event: bytes) -> str:
        try:
            chunk = decode_chunk(event)
        except MalformedChunkError as error:
            raise _malformed(str(error)) from error
        failure = error_in(chunk)
        if failure is not None:
            raise failure
        try:
            return self._assembly.add(chunk)
        except OutputTooLargeError as error:
            raise _too_large("the model's answer is larger than allowed") from error

    def _finish(self) -> str:
        if not self._assembly.is_finished:
            raise ModelCallError(
                ModelFault.NO_FINISH, "the model's stream ended without a finish_reason", is_retryable=True
            )
        rest = self._assembly.last_text()
        try:
            self._completion = self._assembly.completion()
        except MalformedChunkError as error:
            raise _malformed(str(error)) from error
        return rest


def _malformed(detail: str) -> ModelCallError:
    message = f"the model's stream is not what a chat completion looks like: {detail}"
    return ModelCallError(ModelFault.MALFORMED, message, is_retryable=False)


def _too_large(message: str) -> ModelCallError:
    return ModelCallError(ModelFault.TOO_LARGE, message, is_retryable=False)
