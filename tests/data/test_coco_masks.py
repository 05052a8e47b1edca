import pytest

from mbv3zoo.data.coco_masks import segmentation_box


def test_the_box_around_polygons_and_their_area():
    triangle = [10, 10, 30, 10, 10, 20.5]
    assert segmentation_box(triangle) == segmentation_box([triangle]) == ((10, 10, 20, 10.5), 105)
    assert segmentation_box([triangle, [0, 0, 2, 0, 2, 2, 0, 2]]) == ((0, 0, 30, 20.5), 109)


def test_the_box_around_run_lengths():
    assert segmentation_box({'size': [4, 5], 'counts': [5, 2, 13]}) == ((1, 1, 1, 2), 2)


@pytest.mark.parametrize('odd', [10**400, None, True, 'a', [1]])
def test_what_is_no_polygon_nor_mask(odd):
    for segmentation in (
        [[1, 2, 3, 4, 5, odd]],
        [odd],
        {'size': [odd, 5], 'counts': [5]},
        {'size': [4, 5], 'counts': [odd]},
    ):
        with pytest.raises(ValueError, match=r'^segmentation .{,200}$'):
            segmentation_box(segmentation)
