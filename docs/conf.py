"""The documentation site: `sphinx-build -W -n docs site` writes it, without a network."""

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP), str(TOP / 'docs' / '_extensions')]

from docstrings import source_link as linkcode_resolve  # noqa: E402, F401

from mbv3zoo import __version__  # noqa: E402

project = 'mbv3zoo'
copyright = 'the authors of mbv3zoo'
release = version = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.linkcode',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
    'command_reference',
    'docstrings',
    'language_model_text',
    'repository_links',
]
exclude_patterns = ['_extensions', '_static']
nitpicky = True
# Objects of other packages, which a build without a network has no index of.
nitpick_ignore_regex = [
    (r'py:.*', r'(accelerate|collections|fractions|numpy|np|os|pathlib|PIL|pydantic|timm|torch|typing|weakref)\..*'),
    # Types in signatures that only this package makes, and those that stand there by their last name.
    (r'py:class', r'mbv3zoo\.(\w+\.)+\w+'),
    (r'py:class', r'(Array|Checkpoint|Fraction|Given|KeptGraphs|ModelNetwork|Number|Path|ReferenceType)'),
    (r'py:class', r'(SavedWeights|Tensor)'),
    # Single backticks in docstrings are code, which is a link where it names something of this reference.
    (r'py:obj', r'.*'),
]
smartquotes = False
default_role = 'py:obj'
myst_heading_anchors = 4
# Most blocks of the pages without a language are commands.
highlight_language = 'bash'
suppress_warnings = ['misc.highlighting_failure']
copybutton_prompt_text = r'>>> |\.\.\. |\$ '
copybutton_prompt_is_regexp = True

autodoc_default_options = {'members': True, 'inherited-members': 'Module,BaseModel,tuple,dict'}
autodoc_member_order = 'bysource'
autodoc_preserve_defaults = True
autodoc_typehints_format = 'short'
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False

html_theme = 'furo'
html_title = f'mbv3zoo {version}'
html_static_path = ['_static']
html_css_files = ['site.css']
html_favicon = '_static/icon.svg'
html_copy_source = False
html_theme_options = {
    'source_repository': 'https://github.com/mbv3zoo/mbv3zoo/',
    'source_branch': 'main',
    'source_directory': 'docs/',
}
