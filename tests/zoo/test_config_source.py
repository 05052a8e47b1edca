from mbv3zoo import DetectorConfig
from mbv3zoo.zoo.resolve import resolve

CONFIG = DetectorConfig(backbone='test_resnet', num_classes=2)


def test_where_timm_finds_weights_is_the_users_word_first(monkeypatch):
    given = {'pretrained_cfg_overlay': {'file': 'mine.safetensors'}, 'device': 'meta'}
    assert resolve('resnet18').build_args(CONFIG, True, given) == given
    monkeypatch.setattr('mbv3zoo.zoo.config_source.checked_weights', lambda name, **options: {'asked': (name, options)})
    source = resolve(CONFIG, local_files_only=True)
    assert source.build_args(CONFIG, True, {'device': 'meta'}) == {
        'device': 'meta',
        'asked': ('test_resnet', {'local_files_only': True}),
    }
    assert source.build_args(CONFIG, False, {}) == {}
