from program import run

from mbv3zoo.runtimes.table import FORMATS


def test_help_names_the_suffix_of_each_format():
    text = run('export', '--help').output
    assert len(FORMATS) >= 6 and all(f' {form.suffix}' in text for form in FORMATS.values())
