from proxy_core.context.steps import Steps, finished


def test_steps_are_taken_to_their_end():
    taken: list[int] = []

    def counting() -> Steps[str]:
        for number in range(3):
            taken.append(number)
            yield
        return "done"

    assert finished(counting()) == "done"
    assert taken == [0, 1, 2]


def test_work_without_a_pause_is_work_too():
    def at_once() -> Steps[int]:
        yield from ()
        return 7

    assert finished(at_once()) == 7
