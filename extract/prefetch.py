"""Running the steps of a load in parallel, each a few batches ahead of the next."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, Full, Queue
from threading import Event, Thread, get_native_id
from typing import TypeVar

Item = TypeVar("Item")
_END = object()
#: Priority of prefetching threads, below that of the consumer and the database: with few cores the
#: last step of a load would wait for one while the steps before it fill their queues.
NICE = 10


@contextmanager
def prefetch(items: Iterable[Item], depth: int = 2) -> Iterator[Iterator[Item]]:
    """Give an iterator over `items` that a thread draws up to `depth` items ahead.

    An exception of `items` is raised where the items are used. Leaving the block ends the thread.
    """
    queue: Queue = Queue(depth)
    stop = Event()

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                queue.put(item, timeout=0.2)
                return True
            except Full:
                continue
        return False

    def draw() -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, get_native_id(), NICE)  # on Linux: of this thread
            for item in items:
                if not put((item, None)):
                    break
            else:
                put((_END, None))
        except BaseException as error:
            put((_END, error))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def use() -> Iterator[Item]:
        while True:
            try:
                item, error = queue.get(timeout=0.2)
            except Empty:
                if not thread.is_alive() and queue.empty():
                    raise RuntimeError("the reading thread ended without a result") from None
                continue
            if error is not None:
                raise error
            if item is _END:
                return
            yield item

    thread = Thread(target=draw, name="cityloom-prefetch", daemon=True)
    thread.start()
    try:
        yield use()
    finally:
        stop.set()
        thread.join()
