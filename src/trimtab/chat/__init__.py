"""Talk to a model and to what was made of it, side by side.

``session`` reads lines and says answers; ``partner`` is what gives them: a model on this machine
with its treatments (``local``), or one behind an API (``api``). ``treatments`` finds what is done
to the model: in a run, an adapter's folder, a file of vectors.
"""
