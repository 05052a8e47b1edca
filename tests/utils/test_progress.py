from mbv3zoo.utils.progress import bar


def test_a_bar_counts_to_a_number_or_passes_things_on(capsys):
    with bar(5, 'steps') as progress:
        progress.update(2)
        assert (progress.n, progress.total) == (2, 5)
    assert list(bar(['a', 'b'], 'letters')) == ['a', 'b']
    written = capsys.readouterr()
    # It is drawn beside the output, where it does not end up in a pipe.
    assert 'steps' in written.err and 'letters' in written.err and not written.out


def test_a_bar_that_is_not_shown_still_passes_things_on(capsys):
    assert list(bar(['a', 'b'], 'letters', show=False)) == ['a', 'b']
    bar(5, 'steps', show=False).update(2)
    assert capsys.readouterr() == ('', '')
