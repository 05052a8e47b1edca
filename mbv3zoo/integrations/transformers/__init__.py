"""A detector for transformers' `pipeline('object-detection', model=...)`.

`import mbv3zoo` registers the three classes with transformers' Auto classes, each when transformers loads its part.
"""
