"""Records, keys, specs, registries, errors; imports only the standard library, pydantic, YAML."""
