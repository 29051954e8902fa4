"""A watcher's place in a thread: every run between its marks, each event once, from any cursor."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.runs.v1 import event_pb2, thread_event_pb2
from weft_gateway.live.frames import response_of
from weft_gateway.live.thread_frames import run_items, thread_item, thread_keepalive
from weft_gateway.live.thread_watch import ThreadPlace, ThreadWatch

# Kinds of thread events; a number is the length of the log of a run that starts there.
STORIES = st.lists(st.one_of(st.just("said"), st.just("cancelled"), st.integers(2, 5)), min_size=1, max_size=8)


@dataclass
class Story:
    """The log of a thread, and those of its runs."""

    log: list[thread_event_pb2.ThreadEvent] = field(default_factory=list)
    runs: dict[str, list[bytes]] = field(default_factory=dict)

    def add(self, **payload: dict[str, object]) -> None:
        self.log.append(thread_event_pb2.ThreadEvent(seq=len(self.log) + 1, **payload))  # type: ignore[arg-type]

    @property
    def items(self) -> list[bytes]:
        return [event.SerializeToString() for event in self.log]

    def open_run(self, seq: int) -> str:
        open_run = ""
        for event in self.log[:seq]:
            open_run = event.run_started.run_id or open_run
            open_run = "" if event.run_ended.run_id == open_run else open_run
        return open_run


def a_story(kinds: list[object]) -> Story:
    story = Story()
    for number, kind in enumerate(kinds, start=1):
        run_id = f"run_{number}"
        story.add(message_created={})
        if kind == "said":
            continue
        story.add(run_queued={"run_id": run_id})
        if isinstance(kind, int):
            story.runs[run_id] = [
                event_pb2.RunEvent(run_id=run_id, seq=seq).SerializeToString() for seq in range(1, kind + 1)
            ]
            story.add(run_started={"run_id": run_id})
            story.add(title_updated={"title": "meanwhile"})
            story.add(run_queued={"run_id": f"{run_id}b"})
            story.add(run_ended={"run_id": f"{run_id}b"})
        story.add(run_ended={"run_id": run_id})
    story.add(thread_deleted={})
    return story


def advance(place: ThreadPlace, story: Story, read: list[int], step: int) -> bytes:
    """Do one of the things that a stream does; return the items that it would send."""
    if step % 2 and place.awaits_run:
        log = story.runs[place.run_id]
        take = log[place.run_seq : place.run_seq + 1 + step % 3]
        place.gave_run(place.run_seq + len(take), is_terminal=place.run_seq + len(take) == len(log))
        return run_items(response_of(take))
    if not place.is_held_back:
        page = story.items[read[0] : read[0] + 1 + step % 4]
        read[0] += len(page)
        place.take_read([thread_item(event) for event in page])
    return place.give()


def a_place(story: Story, cursor: pb.ThreadCursor) -> tuple[ThreadPlace, list[int]]:
    place = ThreadPlace(cursor.thread_seq, cursor.run_id, cursor.run_seq)
    place.run_id = story.open_run(cursor.thread_seq)
    return place, [cursor.thread_seq]


@given(STORIES, st.lists(st.integers(0, 23), max_size=100), st.sets(st.integers(0, 150)))
def test_all_of_a_thread_comes_once_and_runs_between_their_marks_over_any_break(
    kinds: list[object], steps: list[int], breaks: set[int]
) -> None:
    story = a_story(kinds)
    place, read = a_place(story, pb.ThreadCursor())
    seen: list[pb.ThreadStreamItem] = []
    for number, step in enumerate([*steps, *(step % 24 for step in range(2000))]):
        if place.is_over:
            break
        sent = advance(place, story, read, step)
        response = pb.ThreadEventsResponse.FromString(sent + place.cursor)
        seen += response.items
        if number in breaks and not place.is_over:
            place, read = a_place(story, response.cursor)
    assert place.is_over
    assert [item.thread_event for item in seen if item.HasField("thread_event")] == story.log
    open_run = ""
    for item in seen:
        if item.HasField("run_event"):
            assert item.run_event.run_id == open_run
        else:
            open_run = item.thread_event.run_started.run_id or open_run
            open_run = "" if item.thread_event.run_ended.run_id == open_run else open_run
    for run_id, log in story.runs.items():
        own = [item.run_event for item in seen if item.run_event.run_id == run_id]
        assert [event.SerializeToString() for event in own] == log


def test_a_response_is_the_message_that_protobuf_would_make() -> None:
    event = thread_event_pb2.ThreadEvent(seq=300, thread_id="x" * 300)
    run_event = event_pb2.RunEvent(seq=2, run_id="y" * 20_000)
    place = ThreadPlace(0, "", 0)
    place.take_read([thread_item(event.SerializeToString())])
    sent = place.give() + run_items(response_of([run_event.SerializeToString()])) + place.cursor
    assert pb.ThreadEventsResponse.FromString(sent) == pb.ThreadEventsResponse(
        items=[pb.ThreadStreamItem(thread_event=event), pb.ThreadStreamItem(run_event=run_event)],
        cursor=pb.ThreadCursor(thread_seq=300),
    )


def test_a_keepalive_has_the_head_and_no_items() -> None:
    response = pb.ThreadEventsResponse.FromString(thread_keepalive(7) + ThreadPlace(7, "run_1", 3).cursor)
    assert (response.keepalive.head_seq, len(response.items)) == (7, 0)
    assert response.cursor == pb.ThreadCursor(thread_seq=7, run_id="run_1", run_seq=3)


async def test_a_ring_wakes_the_watch_and_the_run_that_is_streamed_and_an_old_head_nobody() -> None:
    watch, run = ThreadWatch("t", "thr", 5), ThreadWatch("t", "run", 0)
    watch.also, watch.is_rung = run, False
    watch.note_head(5)
    assert not watch.is_rung
    assert not await watch.news(0)
    watch.note_head(6)
    assert watch.is_rung
    assert await watch.news(0)
    assert await run.news(0)
