"""trimtab: small interventions on open-weight language models, and what they did.

Importing this package imports nothing heavy: neither torch nor transformers nor a submodule.
"""

__version__ = "0.1.0"
