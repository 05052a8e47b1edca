import pytest
import timm
from timm.models import PretrainedCfg

from mbv3zoo.config.license_record import LicensedPart, LicenseRecord
from mbv3zoo.licenses import (
    NO_WEIGHTS,
    TERMS,
    backbone_license,
    check_allowed,
    check_push,
    derived_license,
    fresh_record,
    hub_license,
    license_rows,
    trained_on,
    under_license,
    weights_license,
)

SCRATCH = LicenseRecord(backbone='none', imported='none')
COCO = LicensedPart(license='cc-by-4.0', source='coco')


def record(**parts):
    return SCRATCH.model_copy(update=dict(LicenseRecord(**{'backbone': 'none', 'imported': 'none'} | parts)))


def test_the_table_knows_every_licence_of_timm():
    missing = {name: part for name in timm.list_pretrained() if (part := backbone_license(name)) and part.license
               not in TERMS and part.license != 'unknown'}  # fmt: skip
    assert not missing
    assert all(backbone_license(name).source for name in timm.list_pretrained())


def test_what_matters_of_some_licences():
    def ids(**terms):
        return {name for name, known in TERMS.items() if all(getattr(known, k) == v for k, v in terms.items())}

    assert {'apache-2.0', 'mit', 'bsd-3-clause', 'cc0-1.0', 'cc-by-4.0', 'apple-ascl'} <= ids(
        redistribute=True, commercial=True, own_terms=False
    )
    assert {'agpl-3.0', 'gpl-3.0', 'cc-by-sa-4.0', 'dinov3-license', 'gemma'} <= ids(commercial=True, own_terms=True)
    assert {'cc-by-nc-4.0', 'cc-by-nc-sa-4.0', 'apple-amlr', 'seer-license'} <= ids(commercial=False)
    assert ids(redistribute=False) == {'cc-by-nd-4.0', 'cc-by-nc-nd-3.0', 'cc-by-nc-nd-4.0'}


def test_the_backbones_licence_is_timms():
    small = LicensedPart(license='apache-2.0', source='timm/mobilenetv3_small_100.lamb_in1k')
    assert backbone_license('mbv3_yolo_small') == backbone_license('mbv3_yolo_small.lamb_in1k') == small
    assert backbone_license('mobilenetv3_small_100') == small
    assert backbone_license(timm.get_pretrained_cfg('mobilenetv3_small_100')) == small
    model = timm.create_model('mobilenetv3_small_100', device='meta')
    assert backbone_license(model.pretrained_cfg) == small
    assert backbone_license('convnextv2_atto').license == 'cc-by-nc-4.0'
    # Which weights it is about makes the difference.
    assert backbone_license('resnet50').license == 'apache-2.0'
    assert backbone_license('resnet50.fb_swsl_ig1b_ft_in1k').license == 'cc-by-nc-4.0'
    assert backbone_license('res2net50_26w_4s') == LicensedPart(source='timm/res2net50_26w_4s.in1k')
    assert backbone_license('mbv3_yolo_small_exact_se') == NO_WEIGHTS
    assert backbone_license('gcvit_tiny').source.startswith('https://')


@pytest.mark.parametrize(
    ('weights', 'source'),
    [
        ('hf-hub:team/backbone', 'team/backbone'),
        ('local-dir:some/folder', 'some/folder'),
        (PretrainedCfg(file='a.safetensors', license='mit'), 'a.safetensors'),
        ({'hf_hub_id': 'team/x', 'license': 'two\nlines|'}, 'team/x'),
        ({'hf_hub_id': 'team/x', 'license': ['mit']}, 'team/x'),
        ({'url': 'https://a/\n'}, 'https://a/?'),
    ],
)
def test_weights_from_elsewhere_are_of_unknown_licence(weights, source):
    assert backbone_license(weights) == LicensedPart(license='unknown', source=source)


def test_a_detector_that_was_just_built():
    assert fresh_record('convnextv2_atto', pretrained=False) == SCRATCH
    licenses = fresh_record('convnextv2_atto', pretrained=True)
    assert licenses == record(backbone=backbone_license('convnextv2_atto'))
    assert weights_license(licenses) == 'cc-by-nc-4.0'
    assert fresh_record('mbv3_yolo_small_exact_se', pretrained=True) == SCRATCH


@pytest.mark.parametrize(
    ('build_args', 'part'),
    [
        ({'checkpoint_path': 'a.pth'}, LicensedPart(source='a.pth')),
        ({'pretrained_cfg_overlay': {'file': 'a.pth'}}, LicensedPart(source='a.pth')),
        ({'pretrained_cfg_overlay': {'hf_hub_id': 'team/x'}}, LicensedPart(source='team/x')),
        ({'pretrained_cfg_overlay': {'hf_hub_id': 'team/x', 'license': 'mit'}},
         LicensedPart(license='mit', source='team/x')),
        ({'pretrained_cfg_overlay': {'license': 'mit'}}, LicensedPart(license='mit', source='timm/resnet18.a1_in1k')),
        ({'pretrained_cfg_overlay': {'num_classes': 10}}, backbone_license('resnet18')),
        ({'pretrained_cfg': {'hf_hub_id': 'team/x'}}, LicensedPart(source='team/x')),
        ({'cache_dir': 'x', 'pretrained_cfg': None}, backbone_license('resnet18')),
    ],
)  # fmt: skip
def test_weights_that_are_named_otherwise(build_args, part):
    assert fresh_record('resnet18', True, build_args).backbone == part


def test_weights_of_a_timm_repository():
    args = {'pretrained_cfg': {'file': '/home/me/.cache/model.safetensors', 'license': 'MIT'}}
    licenses = fresh_record('resnet18', True, args, repository='team/backbone')
    assert licenses.backbone == LicensedPart(license='mit', source='team/backbone')
    silent = fresh_record('resnet18', True, {'pretrained_cfg': {'file': 'x'}}, repository='team/backbone')
    assert silent.backbone == LicensedPart(source='team/backbone')
    assert fresh_record('resnet18', False, args, repository='team/backbone') == SCRATCH


def test_a_person_may_say_what_timm_does_not_know_but_not_otherwise():
    declared = LicenseRecord(backbone='mit')
    assert fresh_record('res2net50_26w_4s', True, declared=declared).backbone == LicensedPart(
        license='mit', source='timm/res2net50_26w_4s.in1k'
    )
    assert fresh_record('convnextv2_atto', True, declared=declared).backbone.license == 'cc-by-nc-4.0'
    assert fresh_record('resnet18', False, declared=declared) == SCRATCH
    # What he says is believed where it asks for more.
    assert fresh_record('resnet18', True, declared=LicenseRecord(backbone='gpl-3.0')).backbone.license == 'gpl-3.0'
    assert fresh_record('mbv3_yolo_small_exact_se', True, declared=declared).backbone.license == 'mit'
    assert fresh_record('resnet18', False, declared=LicenseRecord(data='mit', imported='gpl-3.0')) == record(
        data='mit', imported='gpl-3.0'
    )


def test_training_adds_its_data():
    first = trained_on(SCRATCH, 'team/coco', 'cc-by-4.0')
    both = trained_on(first, 'cats')
    assert both.data == (LicensedPart(license='cc-by-4.0', source='team/coco'), LicensedPart(source='cats'))
    assert SCRATCH.data == ()
    # Once more on the same: recorded once, and what was known of it stays.
    assert trained_on(first, 'team/coco') == first
    assert trained_on(both, 'cats', 'cc-by-nc-4.0').data[1].license == 'cc-by-nc-4.0'
    assert trained_on(SCRATCH, 'odd\nname').data[0].source == trained_on(SCRATCH, 'odd?name').data[0].source


@pytest.mark.parametrize(
    ('parts', 'expected'),
    [
        ({}, 'apache-2.0'),
        ({'backbone': 'mit'}, 'apache-2.0'),
        ({'backbone': 'cc-by-4.0'}, 'cc-by-4.0'),
        ({'backbone': 'cc-by-nc-4.0'}, 'cc-by-nc-4.0'),
        ({'backbone': 'apache-2.0', 'imported': 'agpl-3.0'}, 'agpl-3.0'),
        ({'backbone': 'unknown', 'imported': 'agpl-3.0'}, 'unknown'),
        ({'backbone': 'apache-2.0', 'imported': 'unknown'}, 'unknown'),
        ({'backbone': 'their-own', 'imported': 'agpl-3.0'}, 'their-own'),
        # Data: only a ban on commerce counts.
        ({'data': ['unknown', 'cc-by-sa-4.0', 'cc-by-nd-4.0', 'their-own', 'none']}, 'apache-2.0'),
        ({'data': ['cc0-1.0', 'cc-by-nc-4.0']}, 'cc-by-nc-4.0'),
    ],
)
def test_the_licence_of_the_weights_is_the_most_restrictive_that_counts(parts, expected):
    assert weights_license(record(**parts)) == expected


@pytest.mark.parametrize(
    ('parts', 'declared'),
    [
        ({}, None),
        ({}, 'mit'),
        ({'backbone': 'apache-2.0', 'data': 'unknown'}, None),
        ({'backbone': 'bsd-3-clause', 'data': 'cc-by-sa-4.0'}, None),
        ({'backbone': 'cc-by-nc-4.0'}, 'cc-by-nc-4.0'),
        ({'backbone': 'cc-by-nc-4.0'}, 'cc-by-nc-sa-4.0'),
        ({'imported': 'agpl-3.0'}, 'AGPL-3.0'),
        ({'imported': 'gpl-3.0'}, 'agpl-3.0'),
        ({'data': 'cc-by-nc-sa-4.0'}, 'cc-by-nc-4.0'),
        ({'data': 'cc-by-nc-nd-4.0'}, 'cc-by-nc-4.0'),
    ],
)
def test_what_may_be_published(parts, declared):
    check_push(record(**parts), declared)


@pytest.mark.parametrize(
    ('parts', 'declared', 'says'),
    [
        ({'backbone': 'unknown'}, None, ['the backbone weights', 'unknown', "allow_licenses=['unknown']"]),
        ({'imported': 'unknown'}, None, ['the imported weights', 'unknown']),
        ({'imported': {'license': 'agpl-3.0', 'source': 'yolov5n.pt'}}, None,
         ['the imported weights', 'agpl-3.0, from yolov5n.pt', "license='agpl-3.0'"]),
        ({'imported': 'agpl-3.0'}, 'gpl-3.0', ['agpl-3.0']),
        ({'backbone': 'cc-by-nc-4.0'}, None, ['the backbone weights', 'commercially', "license='cc-by-nc-4.0'"]),
        ({'backbone': 'cc-by-nc-4.0'}, 'agpl-3.0', ['commercially']),
        ({'backbone': 'cc-by-nc-4.0'}, 'their-own', ['commercially']),
        ({'backbone': 'cc-by-nd-4.0'}, 'cc-by-nd-4.0', ['may not be passed on', "allow_licenses=['cc-by-nd-4.0']"]),
        ({'backbone': 'their-own'}, 'their-own', ['not known here', "allow_licenses=['their-own']"]),
        ({'backbone': 'dinov3-license'}, 'mit', ["license='dinov3-license'"]),
        ({'data': {'license': 'cc-by-nc-sa-4.0', 'source': 'cats'}}, None, ['the data', 'from cats', 'commercially']),
    ],
)  # fmt: skip
def test_what_may_not_be_published(parts, declared, says):
    licenses = record(**parts)
    with pytest.raises(ValueError) as caught:
        check_push(licenses, declared)
    assert all(word in str(caught.value) for word in says), str(caught.value)
    refused = next(part for _, part, _ in _parts(licenses) if part not in ('none', 'apache-2.0'))
    check_push(licenses, declared, allow=[refused])
    check_push(licenses, declared, allow=['any'])
    check_push(licenses, declared, allow='any')
    with pytest.raises(ValueError):
        check_push(licenses, declared, allow=['isc'])


def _parts(licenses):
    return [(label, license, source) for label, license, source in license_rows(licenses) if license != 'none']


def test_all_reasons_are_told_at_once():
    licenses = record(backbone='cc-by-nc-4.0', imported='agpl-3.0')
    with pytest.raises(ValueError, match='cc-by-nc-4.0.*; .*agpl-3.0'):
        check_push(licenses)
    # What is allowed is not asked about; the other still is.
    with pytest.raises(ValueError) as caught:
        check_push(licenses, allow=['cc-by-nc-4.0'])
    assert 'backbone' not in str(caught.value) and 'agpl-3.0' in str(caught.value)


def test_a_declared_licence_that_is_none():
    with pytest.raises(ValueError, match='not a licence id.*license'):
        check_push(SCRATCH, 'my licence: ask me')


def test_allowed_licences():
    nc = fresh_record('convnextv2_atto', pretrained=True)
    check_allowed(nc, None)
    check_allowed(nc, ['CC-BY-NC-4.0'])
    check_allowed(nc, ['any'])
    check_allowed(SCRATCH, [])
    check_allowed(record(data='unknown'), ['mit'])
    with pytest.raises(ValueError) as caught:
        check_allowed(nc, ['apache-2.0', 'mit'])
    words = ['the backbone weights (cc-by-nc-4.0, from timm/convnextv2_atto', "['apache-2.0', 'mit']"]
    assert all(word in str(caught.value) for word in words)
    with pytest.raises(ValueError, match=r'imported weights \(agpl-3.0\)'):
        check_allowed(record(backbone='mit', imported='agpl-3.0'), ['mit'])
    with pytest.raises(ValueError, match='unknown'):
        check_allowed(LicenseRecord(), ['apache-2.0'])
    with pytest.raises(ValueError, match='the data'):
        check_allowed(record(data='cc-by-nc-4.0'), ['apache-2.0'])


def test_a_licence_that_was_named_for_the_whole():
    ours = record()
    named = under_license(ours, 'AGPL 3.0')
    assert named.weights == weights_license(named) == 'agpl-3.0' and derived_license(named) == 'apache-2.0'
    assert under_license(named, 'apache-2.0') == ours and under_license(named, 'mit').weights == 'mit'
    assert trained_on(named, 'cats').weights == 'agpl-3.0'
    # Whoever opens it is asked about it; whoever publishes it again may name another one.
    check_allowed(named, ['agpl-3.0'])
    with pytest.raises(ValueError, match=r'the weights \(agpl-3.0\) is not in'):
        check_allowed(named, ['apache-2.0'])
    check_push(named, 'mit')
    with pytest.raises(ValueError, match='not a licence id'):
        under_license(ours, 'a|b')


def test_rows():
    rows = license_rows(record(backbone=backbone_license('resnet18'), data=(COCO, 'mit')))
    assert rows == [
        ('code', 'apache-2.0', 'mbv3zoo'),
        ('backbone weights', 'apache-2.0', 'timm/resnet18.a1_in1k'),
        ('imported weights', 'none', ''),
        ('data', 'cc-by-4.0', 'coco'),
        ('data', 'mit', ''),
    ]
    assert license_rows(SCRATCH)[-1] == ('data', 'unknown', 'not recorded')


def test_how_a_card_names_a_licence():
    assert hub_license('apache-2.0') == ('apache-2.0', None) and hub_license('apple-amlr') == ('apple-amlr', None)
    assert hub_license('unknown') == ('unknown', None) and hub_license('other') == ('other', None)
    assert hub_license('dinov3-license') == ('other', 'dinov3-license')
    assert hub_license('their-own') == ('other', 'their-own')
