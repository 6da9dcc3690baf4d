"""Stories for rules that random worlds rarely need: each ends badly without its rule, and well with it."""

from tests.sim.stage import HEARTBEAT_S, A, B, C, Stage


def test_an_answer_to_a_question_of_an_earlier_life_serves_nobody():
    """B asks the leader for a read index, dies and comes back, and asks again; the first answer is not the second's.

    Nothing but TCP, one lost connection and one kill -9 is needed. The leader's round began before the second write.
    """
    stage = Stage(A, B, C)
    stage.elect(A, B, C)
    first = stage.write(A, "x", "old")
    stage.run(0.5)
    assert first.succeeded

    stage.read(B, "x")
    stage.turn(B)
    stage.deliver(B, A)  # A begins a round at the first write's index, for B's question
    stage.relink(A, C)  # C's probe is lost with its connection, B's with B
    second = stage.write(A, "x", "new")
    stage.turn(A)
    stage.crash(B)
    stage.deliver(A, C)
    stage.deliver(C, A)
    stage.turn(A)
    assert second.succeeded

    stage.enter(B)
    stage.time += HEARTBEAT_S
    stage.turn(A)
    stage.deliver(A, B)  # who leads; but the log of B has a gap, so it learns of no new commit
    read = stage.read(B, "x")
    stage.turn(B)  # asks, under the number that its former life used
    stage.time += HEARTBEAT_S
    stage.turn(A)  # the old round is probed for again
    stage.deliver(A, C)
    stage.deliver(C, A)
    stage.deliver(A, B)  # raises "stale read" if the answer counts
    stage.reckon()
    assert read.ended
