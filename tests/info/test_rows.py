from mbv3zoo.config.license_record import LicensedPart, LicenseRecord
from mbv3zoo.info.rows import classes_row, license_rows, table


def test_a_table_has_two_columns():
    assert table([('a', '1'), ('longer', '2\n3')]) == 'a       1\nlonger  2\n        3'


def test_of_many_classes_the_first_are_named():
    assert classes_row(('cat', 'dog')) == '2: cat, dog'
    many = classes_row(tuple(map(str, range(21))))
    assert many.startswith('21: 0, 1, ') and many.endswith(', 19, ...')


def test_the_licence_of_the_whole_comes_first():
    record = LicenseRecord(data=LicensedPart(license='mit', source='cats'))
    rows = license_rows(record)
    assert rows[0][0] == 'licence' and ('  data', 'mit, cats') in rows
