import pytest
from clock import Clock

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.training import pace
from mbv3zoo.training.pace import Pace, SavedPace


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(pace, 'monotonic', clock)
    return clock


def simulated(clock, config, training, evaluating, start=3.0, report=4.0, images=(100, 20), kept=None):
    """A run on a clock: (epochs, its seconds, the plan after each epoch). `training` has the seconds of an epoch."""
    run, began, plans = Pace(config), clock.now, []
    clock.now += start
    run.begin(run.used())
    epoch, planned = 0, config.epochs
    while epoch < planned:
        seconds = training(epoch)
        if epoch == 0:
            clock.now += seconds / 8
            planned = run.plan_early(1 / 8, images)
            seconds *= 7 / 8
        clock.now += seconds
        epoch += 1
        planned = run.plan(epoch, planned)
        if epoch == planned or epoch % config.eval_every == 0:
            clock.now += evaluating
            run.evaluating = evaluating
        run.end_epoch()
        plans.append(planned)
    clock.now += evaluating + report
    return epoch, clock.now - began, plans


@pytest.mark.parametrize(
    ('training', 'evaluating', 'eval_every'),
    [
        (lambda epoch: 60, 10, 1),
        (lambda epoch: 20, 60, 1),
        (lambda epoch: 20, 60, 7),
        (lambda epoch: 90 if epoch < 3 else 45, 5, 1),  # pictures are cached
        (lambda epoch: 30 + epoch, 5, 1),  # another program takes more and more of the machine
        (lambda epoch: 30 + (7 * epoch) % 20, 5, 2),
        (lambda epoch: 60 if epoch else 100, 0, 1),
    ],
)
def test_a_run_ends_near_its_time_with_the_last_epoch_of_its_plan(clock, training, evaluating, eval_every):
    config = TrainConfig(minutes=30, eval_every=eval_every)
    epochs, seconds, plans = simulated(clock, config, training, evaluating)
    assert 0.9 * 1800 < seconds < 1.1 * 1800
    # It was planned before it began, so that the learning rate came to its end.
    assert plans[-1] == epochs == plans[-2]


def test_a_plan_that_holds_is_kept(clock):
    _, _, plans = simulated(clock, TrainConfig(minutes=30), lambda epoch: 20, 5)
    assert len(set(plans[3:])) == 1


def test_at_least_one_epoch_is_trained_and_no_more_than_asked_for(clock):
    assert simulated(clock, TrainConfig(minutes=1), lambda epoch: 600, 60)[0] == 1
    assert simulated(clock, TrainConfig(minutes=30, epochs=4), lambda epoch: 20, 1)[0] == 4
    # A third does not fit, half way over the end.
    epochs, seconds, _ = simulated(clock, TrainConfig(minutes=1), lambda epoch: 18, 2)
    assert epochs == 2 and seconds < 60


def test_a_run_goes_on_with_the_time_that_it_has_left(clock):
    config = TrainConfig(minutes=10)
    run = Pace(config)
    for _ in range(3):
        clock.now += 50
        run.evaluating = 5
        run.end_epoch()
    saved = SavedPace.parse(run.saved(11).model_dump(mode='json'))
    assert saved.used == 150 and saved.last_epoch(3, config) == 11
    assert saved.last_epoch(3, TrainConfig(minutes=10, epochs=8)) == 8
    assert saved.last_epoch(3, TrainConfig(minutes=20)) == 23
    assert saved.last_epoch(3, TrainConfig(minutes=2)) == 3
    clock.now += 100_000  # nobody counts the time between
    again = Pace(config, saved)
    assert again.used() == 150 and again.left(2) == 100 + 5 + 4
    clock.now += 50
    assert again.plan(4, 11) == 11
    assert Pace(TrainConfig()).saved(3) is None


def test_the_number_of_epochs_follows_from_the_time_unless_it_is_given():
    assert TrainConfig(minutes=30).epochs > 10_000 and TrainConfig(minutes=30, epochs=7).epochs == 7
    assert TrainConfig(minutes=None).epochs == TrainConfig().epochs == 100
