"""Signals are heard in the main thread, whichever thread they arrive at."""

import os
import signal
import threading

from annexd.system.signals import SignalListener
from annexd.threads.stop_signal import StopSignal


def test_a_signal_that_arrives_at_another_thread_ends_the_wait() -> None:
    stop = StopSignal()
    ready = threading.Event()

    def take_it() -> None:
        ready.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)

    thread = threading.Thread(target=take_it)
    with SignalListener({signal.SIGUSR2: stop.set}) as listener:
        thread.start()
        ready.set()
        listener.wait(stop)
    thread.join()
    assert stop.is_set()


def test_a_stop_from_another_thread_ends_the_wait() -> None:
    stop = StopSignal()
    with SignalListener({}) as listener:
        thread = threading.Thread(target=stop.set)
        thread.start()
        listener.wait(stop)
    thread.join()


def test_handlers_are_put_back_at_the_end() -> None:
    before = signal.getsignal(signal.SIGUSR2)
    with SignalListener({signal.SIGUSR2: lambda: None}):
        assert signal.getsignal(signal.SIGUSR2) is not before
    assert signal.getsignal(signal.SIGUSR2) is before


def test_every_signal_is_handled_before_the_stop() -> None:
    stop, heard = StopSignal(), []
    with SignalListener({signal.SIGUSR1: lambda: heard.append(1), signal.SIGUSR2: stop.set}) as listener:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        listener.wait(stop)
    assert heard == [1]
