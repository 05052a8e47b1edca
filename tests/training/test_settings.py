from typing import get_type_hints

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.training.settings import TrainSettings


def test_settings_are_the_fields_of_the_config():
    # Without ranges and their like, which annotations of fields carry along.
    fields = get_type_hints(TrainConfig)
    fields['slice'] = int | fields['slice']  # a side is taken for both
    assert get_type_hints(TrainSettings) == {name: fields[name] for name in TrainConfig.model_fields}
    assert list(TrainSettings.__annotations__) == list(TrainConfig.model_fields)
    assert TrainSettings.__required_keys__ == frozenset()
