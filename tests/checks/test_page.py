import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from faulty_set import write_faulty_set
from PIL import Image

import mbv3zoo
from mbv3zoo.checks.page import page_of


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    return mbv3zoo.check_dataset(write_faulty_set(tmp_path_factory.mktemp('data')), image_size=160)


class Parser(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_it_has_all_findings_and_needs_no_other_file(report):
    page = Parser(page_of(report))
    text = ''.join(page.text)
    assert all(finding.text in text for finding in report.findings)
    links = [attrs[name] for _, attrs in page.tags for name in ('src', 'href') if name in attrs]
    assert len(links) == sum(len(finding.examples) for finding in report.findings)
    for link in links:
        kind, data = link.split(',')
        assert kind == 'data:image/jpeg;base64'
        assert max(Image.open(io.BytesIO(base64.b64decode(data))).size) == 320


def test_a_tiny_object_is_shown_from_near(report):
    (finding,) = [finding for finding in report.findings if finding.name == 'objects too small to learn']
    data = re.search(r'base64,([^"]*)', page_of(replace(report, findings=(finding,))))[1]
    near = Image.open(io.BytesIO(base64.b64decode(data)))
    with Image.open(finding.examples[0].record.path) as image:
        ratio = image.width / image.height
    assert abs(near.width / near.height - ratio) > 0.05


def test_names_are_escaped_and_damaged_images_are_told(report):
    empty = next(finding for finding in report.findings if finding.name == 'pictures without objects')
    lost = empty.examples[0].record.path.with_name('<b>gone.png')
    example = empty.examples[0]._replace(record=replace(empty.examples[0].record, path=lost))
    page = page_of(replace(report, source='<i>', findings=(replace(empty, examples=(example,), lines=('<u>',) * 102),)))
    assert not {'b', 'i', 'u', 'img'} & {tag for tag, _ in Parser(page).tags}
    assert 'there is no such file' in page and '... and 2 more' in page


def test_nothing_found(report):
    assert 'nothing was found' in page_of(replace(report, findings=()))


def test_splits_with_other_classes_are_shown(report):
    train, val = report.splits.values()
    fewer = replace(val, class_names=val.class_names[:1], category_ids=())
    for splits in ({'train': fewer, 'val': train}, {'train': train, 'val': fewer}):
        assert 'boxes labelled twice' in page_of(replace(report, splits=splits))
