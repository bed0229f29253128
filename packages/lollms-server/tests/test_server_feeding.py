"""Sound that is put on the event loop and taken by an engine: its end, and that nobody wants it any more."""

from __future__ import annotations

import asyncio

import pytest
from lollms_modalities import AudioChunk, CallCancelled
from lollms_server.room.feeding import Feed

CHUNK = AudioChunk(bytes(3200), 16000)


def test_the_end_comes_after_what_is_there() -> None:
    async def main() -> None:
        feed = Feed()
        await feed.put(CHUNK)
        feed.end()
        assert await asyncio.to_thread(list, feed) == [CHUNK]

    asyncio.run(main())


@pytest.mark.parametrize("ended", [False, True])
def test_an_engine_whose_sound_nobody_wants_is_stopped_and_not_told_of_an_end(ended: bool) -> None:
    async def main() -> None:
        feed = Feed()
        await feed.put(CHUNK)
        taking = asyncio.ensure_future(asyncio.to_thread(lambda: [next(feed), next(feed)]))
        while feed._held:
            await asyncio.sleep(0.001)
        if ended:
            await feed.put(CHUNK)
            await asyncio.wait_for(taking, 30)
            feed.end()
            taking = asyncio.ensure_future(asyncio.to_thread(lambda: feed.close() or [next(feed)]))
        else:
            feed.close()
        with pytest.raises(CallCancelled, match="has left"):
            await asyncio.wait_for(taking, 30)

    asyncio.run(main())
