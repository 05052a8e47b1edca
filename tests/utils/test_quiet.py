import logging
import threading
import warnings

import pytest

from mbv3zoo.utils.quiet import without_log, without_messages, without_warnings


def told(**options):
    """What is shown inside, of three warnings."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always')
        with without_warnings(*options.pop('categories', ()), **options):
            warnings.warn('Glyph 7 is missing', UserWarning, stacklevel=1)
            warnings.warn('old', DeprecationWarning, stacklevel=1)
            warnings.warn('soon', FutureWarning, stacklevel=1)
    return [str(warning.message) for warning in found]


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({}, []),
        ({'categories': [DeprecationWarning, FutureWarning]}, ['Glyph 7 is missing']),
        ({'message': r'Glyph \d+'}, ['old', 'soon']),
    ],
)
def test_what_is_named_is_not_shown(options, expected):
    assert told(**options) == expected


def test_two_threads_that_begin_and_end_in_turn_leave_the_filters_as_they_were():
    before = list(warnings.filters)
    began, may_end = threading.Event(), threading.Event()

    def first():
        with without_warnings():
            began.set()
            # The other one would begin now, and end after this one.
            may_end.wait(0.05)

    def second():
        began.wait(5)
        with without_warnings():
            may_end.set()
            thread.join(0.05)

    thread, other = threading.Thread(target=first), threading.Thread(target=second)
    for one in (thread, other):
        one.start()
    for one in (thread, other):
        one.join(5)
    assert warnings.filters == before


def test_it_may_be_asked_for_inside_itself():
    with without_warnings(FutureWarning), without_warnings(DeprecationWarning):
        pass


def test_log_messages_below_a_level_are_not_shown_and_the_level_comes_back_after_an_error_too(caplog):
    logger = logging.getLogger('another.library')
    logger.setLevel(logging.INFO)
    with pytest.raises(KeyError), without_log('another.library'):
        logger.warning('of no use')
        logger.error('of use')
        raise KeyError
    assert logger.level == logging.INFO and caplog.messages == ['of use']
    with without_log('another.library', logging.CRITICAL):
        logger.error('of no use')
    assert caplog.messages == ['of use']


def test_messages_that_begin_so_are_not_shown_and_others_are(caplog):
    logger = logging.getLogger('another.library')
    with without_messages('another.library', 'Unexpected keys ('):
        logger.warning('Unexpected keys (%s) found', 'classifier.bias')
        logger.warning('Missing keys (conv.weight)')
    logger.warning('Unexpected keys (%s) found', 'classifier.weight')
    assert caplog.messages == ['Missing keys (conv.weight)', 'Unexpected keys (classifier.weight) found']
