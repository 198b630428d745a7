"""Records, keys, specs, registries and errors; imports nothing but the standard library, pydantic and YAML."""
