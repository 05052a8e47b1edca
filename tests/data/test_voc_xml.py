from mbv3zoo.data.voc_xml import read_xml


def read(tmp_path, text):
    (tmp_path / 'a.xml').write_bytes(text.encode() if isinstance(text, str) else text)
    return read_xml(tmp_path / 'a.xml')


def test_objects_have_their_lines_and_texts(tmp_path):
    text = (
        '<annotation>\n<size><width> 80\n</width><height>60</height></size>\n'
        '<object><name>cat</name><part><name>ear</name></part><bndbox><xmin>1</xmin></bndbox></object>\n<object/>\n'
        '<filename>a.jpg</filename></annotation>'
    )
    found = read(tmp_path, text)
    assert [each.line for each in found.objects] == [4, 5] and found.error == ''
    assert [each.name for each in found.objects] == ['cat', '']
    assert found.objects[0].corners == ('1', None, None, None) and found.objects[1].difficult is None
    assert found.size == ('80', '60') and found.filename == 'a.jpg'


def test_a_byte_order_mark_does_not_matter(tmp_path):
    text = '<annotation><object><name>猫</name></object></annotation>'
    for encoding in ('utf-8-sig', 'utf-16'):
        assert read(tmp_path, text.encode(encoding)).objects[0].name == '猫'


def test_what_is_wrong_is_in_the_error(tmp_path):
    assert read(tmp_path, '<annotation>\n').error == 'broken XML: no element found'
    assert read(tmp_path, '<html/>').error.startswith('the file holds <html>')
    deep = '<annotation>' + '<a>' * 5000 + '</a>' * 5000 + '</annotation>'
    assert read(tmp_path, deep).error == 'its elements are nested more than 20 deep'
