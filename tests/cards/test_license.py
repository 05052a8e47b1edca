import json

import pytest

from mbv3zoo.cards.license import card_license, config_under, license_of, license_sentence, state_license
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.saving.folder import config_bytes

AGPL = {'backbone': 'none', 'imported': {'license': 'agpl-3.0', 'source': 'a.pt'}}


@pytest.mark.parametrize(
    ('metadata', 'license'),
    [
        ({'license': 'mit'}, 'mit'),
        ({'license': 'other', 'license_name': 'their-own'}, 'their-own'),
        ({'license': 'other'}, 'other'),
        ({'license_name': 'their-own'}, None),
        ({'license': ['mit']}, None),
        ({}, None),
    ],
)
def test_the_licence_of_a_card(metadata, license):
    assert license_of(metadata) == license
    assert card_license(f'---\n{json.dumps(metadata)}\n---\ntext') == license


def test_the_text_says_the_same_as_the_metadata():
    part = f'a\n\n{license_sentence("unknown")}\n\nb'
    assert 'Ask whoever made them' in part
    assert state_license(part, 'mit') == 'a\n\nThe weights as a whole: mit.\n\nb'
    assert state_license(part, '<!-- x\n').splitlines()[2] == 'The weights as a whole: &lt;!-- x.'
    assert state_license('a', 'mit') == 'a'


def test_the_record_says_under_which_licence_the_weights_are():
    def config(record, **timm):
        return config_bytes({'detector': {'backbone': 'resnet18', 'licenses': record}, 'pretrained_cfg': timm, 'x': 1})

    def record(data):
        return LicenseRecord.parse(json.loads(data)['detector']['licenses'])

    agpl = config(AGPL, license='agpl-3.0')
    assert config_under(agpl, None) == config_under(agpl, 'agpl-3.0') == agpl
    named = config_under(agpl, 'mit')
    assert record(named).weights == 'mit' and record(named).imported.license == 'agpl-3.0'
    assert json.loads(named)['pretrained_cfg'] == {'license': 'mit'} and json.loads(named)['x'] == 1
    assert config_under(named, 'mit') == named
    assert record(config_under(named, 'AGPL 3.0')).weights is None
    with pytest.raises(ValueError, match='not a licence id'):
        config_under(agpl, 'a|b')


@pytest.mark.parametrize('config', [b'[]', b'{"seed": 0}', b'{"detector": 3}'])
def test_other_configs_are_left_as_they_are(config):
    assert config_under(config, 'mit') == config
