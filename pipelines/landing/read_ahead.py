"""Reads the next item of a generator in a thread of its own while the present one is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(slots=True)
class _Read(Generic[Item]):
    item: Item


def read_ahead(source: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """The items of ``source`` in its order, and then what it raised.

    At most two items are held: the one that was given out and the next. ``source`` runs, and is closed, in the thread
    alone; leaving this iterator early waits until that has happened, so that the source's connection is free again.
    """
    wanted = threading.Semaphore(1)
    given_up = threading.Event()
    found: queue.SimpleQueue[_Read[Item] | BaseException | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            while wanted.acquire() and not given_up.is_set():
                found.put(_Read(next(source)))
            source.close()
        except StopIteration:
            found.put(None)
        except BaseException as error:
            found.put(error)

    thread = threading.Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (item := found.get()) is not None:
            if not isinstance(item, _Read):
                raise item
            wanted.release()
            yield item.item
    finally:
        given_up.set()
        wanted.release()
        thread.join()
