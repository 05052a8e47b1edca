import logging
from pathlib import Path

from mbv3zoo.data.problems import LabelProblems


def test_problems_are_told_once_with_their_number(caplog):
    problems = LabelProblems(Path('my.yaml'))
    with caplog.at_level(logging.WARNING):
        problems.report()
        assert caplog.records == []
        for i in range(25):
            problems.add(f'a.txt:{i}', 'odd')
        problems.report(limit=20)
    assert len(caplog.records) == 1
    text = caplog.text
    assert 'my.yaml: 25 label problems' in text
    assert 'a.txt:19: odd' in text and 'a.txt:20: odd' not in text
    assert '... and 5 more' in text


def test_the_middle_of_a_very_long_line_is_left_out():
    problems = LabelProblems(Path('my.yaml'))
    problems.add('x' * 5000, 'odd; dropped')
    assert len(problems.lines[0]) < 500 and problems.lines[0].endswith('xx: odd; dropped')


def test_many_problems_are_counted_by_what_became_of_them(caplog):
    problems = LabelProblems(Path('my.yaml'))
    for i in range(25):
        problems.add(f'a.txt:{i}', 'odd; dropped' if i < 20 else 'outside; clipped')
    problems.add('b.txt:1', 'repeats line 0; dropped')
    problems.add('c.png', 'left out: damaged')
    problems.report()
    assert 'my.yaml: 27 label problems (21 dropped, 5 clipped, 1 repeats, 1 left out):' in caplog.text


def test_no_more_is_said_where_all_is_shown(caplog):
    problems = LabelProblems(Path('my.yaml'))
    for i in range(3):
        problems.add(f'a.txt:{i}', 'odd')
    problems.report(limit=3)
    assert 'a.txt:2: odd' in caplog.text and 'more' not in caplog.text
