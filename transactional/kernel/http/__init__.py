"""The thin HTTP face of the registry: views, authentication, errors and the OpenAPI document."""
