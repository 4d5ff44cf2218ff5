"""What processes tell each other, and how one joins the others."""

import socket

import jax
import numpy as np
import pytest
from fake_processes import in_each

from benchmarks.processes import free_port
from elmo_jax import ElmoError
from elmo_jax.processes import ALONE, Processes, is_in_all, join


@pytest.mark.parametrize(("n_rows", "count"), [(8, 1), (8, 2), (7, 3), (2, 4)])
def test_each_row_belongs_to_one_process(n_rows, count):
    rows = np.arange(n_rows)
    own = [rows[Processes(count, index).own(n_rows)] for index in range(count)]
    assert np.concatenate(own).tolist() == rows.tolist()
    assert max(map(len, own)) - min(map(len, own)) <= 1


def test_what_each_gives_comes_to_all_in_order():
    assert (
        in_each(3, lambda processes: processes.gather([processes.index])) == [[[0], [1], [2]]] * 3
    )
    assert ALONE.gather("x") == ["x"]


def test_only_the_first_process_calls_what_it_does_for_all():
    called = []

    def work(processes):
        return processes.first(lambda: called.append(processes.index) or {"step": 3})

    assert in_each(3, work) == [{"step": 3}] * 3
    assert called == [0]


def test_an_error_of_the_first_process_is_raised_in_all():
    def work(processes):
        processes.first(lambda: 1 / 0)

    first, second = in_each(2, work)
    assert isinstance(first, ZeroDivisionError)
    assert "The first process has stopped: ZeroDivisionError: division by zero" in str(second)
    assert is_in_all(first) and is_in_all(second)


def test_an_error_of_one_process_is_raised_in_all_at_the_end_of_what_they_do_together():
    def work(processes):
        with processes.together():
            if processes.index == 1:
                raise ElmoError("There is no text.")
        return "went on"

    errors = in_each(3, work)
    assert str(errors[1]) == "There is no text."
    assert {str(errors[0]), str(errors[2])} == {"Process 1 of the 3 has stopped: There is no text."}
    assert all(map(is_in_all, errors))


def test_processes_with_other_arguments_are_named():
    def work(processes):
        processes.check_same(min(processes.index, 1), "reads another text")

    assert {str(error) for error in in_each(3, work)} == {
        "Process 1, 2 reads another text than the first process."
    }


def test_a_context_of_the_first_process_is_entered_and_left_there_alone():
    import contextlib

    entered = []

    @contextlib.contextmanager
    def lock(index):
        entered.append(index)
        yield
        entered.append("left")

    def work(processes):
        with processes.only_first(lock(processes.index)):
            return processes.first(lambda: list(entered))

    assert in_each(2, work) == [[0]] * 2
    assert entered == [0, "left"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("10.0.0.1:8476", None, None), "process_id= together, or none of them .* got '10"),
        ((None, 2, 0), "process_id= together, or none of them"),
        (("10.0.0.1", 2, 0), "coordinator is '10.0.0.1', expected HOST:PORT"),
        (("10.0.0.1:99999", 2, 0), "expected HOST:PORT"),
        (("10.0.0.1:8476", 2, 2), "process_id is 2, expected a whole number .* at most 1"),
        (("10.0.0.1:8476", 0, 0), "num_processes is 0"),
    ],
)
def test_wrong_numbers_are_refused_before_anybody_is_called(arguments, message):
    with pytest.raises(ElmoError, match=message):
        join(*arguments)


def test_a_first_process_that_does_not_listen_is_named():
    with pytest.raises(ElmoError, match=r"Cannot reach the first process at 127\.0\.0\.1:\d+ for"):
        join(f"127.0.0.1:{free_port()}", 2, 1, timeout=1)


def test_a_port_in_use_is_named():
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ElmoError, match=f"Cannot listen on port {port}.*another port"):
            join(f"127.0.0.1:{port}", 2, 0, timeout=1)


def test_a_process_that_uses_jax_already_cannot_join():
    jax.devices()
    with pytest.raises(ElmoError, match="must be called before"):
        join(f"127.0.0.1:{free_port()}", 1, 0, timeout=1)
